"""PostgreSQL: connections, schema, and one module for each family of tables."""

from mtabounce.store.connection import (
    DatabaseSettings,
    connect,
    connect_sync,
    open_pool,
)
from mtabounce.store.state import StateSettings, state_directory
from mtabounce.store.statements import statements
from mtabounce.store.text import clean_text
from mtabounce.store.unavailable import unavailable

__all__ = [
    "DatabaseSettings",
    "StateSettings",
    "clean_text",
    "connect",
    "connect_sync",
    "open_pool",
    "state_directory",
    "statements",
    "unavailable",
]
