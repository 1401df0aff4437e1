"""The database, as commands use it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.errors import InsufficientPrivilege

from mtabounce.errors import ConfigError
from mtabounce.settings import Settings, load_settings
from mtabounce.store.connection import connect_sync, limited, server_name
from mtabounce.store.embedded import database
from mtabounce.store.unavailable import unavailable
from mtabounce.store.version import check


@contextmanager
def opened(config: Path | None) -> Iterator[tuple[Settings, str]]:
    """
    Give the settings of *config*, and how to connect to their database within its limits.

    Raises ConfigError where a setting or the schema is wrong, or the user may not,
    StoreUnavailable where the database is away.
    """
    settings = load_settings(config)
    with database(settings.database, settings.state) as where, unavailable(), _permitted(where):
        url = limited(where, settings.database)
        check(url)
        yield settings, url


@contextmanager
def connected(config: Path | None) -> Iterator[Connection[Any]]:
    """Give a connection to that database, in autocommit mode. Raises as opened() does."""
    with (
        opened(config) as (_, url),
        connect_sync(url, application_name="mtabounce command") as conn,
    ):
        yield conn


@contextmanager
def _permitted(url: str) -> Iterator[None]:
    try:
        yield
    except InsufficientPrivilege as error:
        raise ConfigError(
            f"the database at {server_name(url)} refuses this user ({error.diag.message_primary}):"
            " it is to be the owner of the tables, or a member of mtabounce_admin"
        ) from error
