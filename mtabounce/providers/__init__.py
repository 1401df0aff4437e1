"""
The providers (ESPs) whose webhooks we read: a TOML file each, found by its name.

A user's own table has the same shape, and may stand in for one of ours.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from mtabounce.errors import ConfigError
from mtabounce.providers._body import read_json
from mtabounce.providers._read import UNREADABLE, Ignored, Said, read
from mtabounce.providers._table import EVENTS, Provider, Table, read_table, table_of

__all__ = ["EVENTS", "UNREADABLE", "Ignored", "Provider", "Said", "Table", "discover",
           "provider", "read", "read_json"]  # fmt: skip

_FOLDER = Path(__file__).parent


def discover() -> list[str]:
    """Return the names of all providers that come with the program, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


@cache
def _shipped(name: str) -> Provider:
    if name not in discover():
        known = ", ".join(discover())
        raise ConfigError(f"there is no provider '{name}'; there are {known}")
    return Provider(read_table(_FOLDER / f"{name}.toml"))


def provider(name: str, own: Mapping[str, Any] | None = None) -> Provider:
    """
    Return the provider *name*; *own* is a table of the user's, which goes before ours.

    Raises ConfigError where there is none of that name, or the table is wrong.
    """
    if not own:
        return _shipped(name)
    base = _shipped(name).table if name in discover() else None
    made = Provider(table_of(name, own, base))
    # What is wrong is found here, not at the first event.
    _ = made.paths, made.key, made.meta, made.reply_in
    return made
