"""Which migrations a database has had, and whether this program can work with that."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from psycopg import Connection

from mtabounce.errors import ConfigError, SchemaMismatch
from mtabounce.store.connection import OWN_SESSION, connect_sync, pooler_between, server_name
from mtabounce.store.statements import statements
from mtabounce.store.unavailable import unavailable

_OLDEST_SERVER = 150000  # as libpq writes it: in older ones views run with their owner's rights


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaStatus:
    """What a database has had of our migrations. Versions are as "0001"."""

    applied: tuple[str, ...]  # names of migrations, in their order
    pending: tuple[str, ...]  # those that it still needs
    unknown: tuple[str, ...]  # those of a newer program
    needed: str  # the version that this program works with

    @property
    def version(self) -> str | None:
        """The newest migration that it has had; None where it is empty."""
        return max(map(version_of, self.applied), default=None)

    @property
    def is_current(self) -> bool:
        """Whether this program can work with it."""
        return not self.pending and not self.unknown

    @property
    def word(self) -> str:
        """What it is to this program: "current", "empty", "older" or "newer"."""
        if self.is_current:
            return "current"
        if self.unknown:
            return "newer"
        return "older" if self.applied else "empty"


def version_of(migration: str) -> str:
    """Return the number that the name of a migration starts with."""
    return migration.partition("_")[0]


def migrations_folder() -> Path:
    """Return the folder of the migrations."""
    return Path(str(files(__package__).joinpath("sql/migrations")))


def migration_names() -> list[str]:
    """Return the names of this program's migrations, in their order."""
    return sorted(path.stem for path in migrations_folder().glob("*.sql"))


def status(url: str) -> SchemaStatus:
    """
    Return what the database has had; it needs no more than to read.

    Raises StoreUnavailable where it cannot be asked, ConfigError where it is one that this program
    cannot work with: too old, in other letters, or behind a pooler.
    """
    with unavailable(), connect_sync(url, application_name="mtabounce check") as conn:
        _refuse_old_server(conn)
        _refuse_other_letters(conn)
        _refuse_pooler(conn, url)
        applied = _applied(conn)
    known = migration_names()
    return SchemaStatus(
        applied=tuple(applied),
        pending=tuple(name for name in known if name not in applied),
        unknown=tuple(name for name in applied if name not in known),
        needed=version_of(known[-1]),
    )


def check(url: str) -> None:
    """
    Return where the database is as this program needs it.

    Raises SchemaMismatch where it is empty, older or newer, StoreUnavailable where it cannot
    be asked.
    """
    refuse_mismatch(url, status(url))


def refuse_mismatch(url: str, found: SchemaStatus) -> None:
    """Raise SchemaMismatch where *found* is not what this program needs."""
    if found.is_current:
        return
    name = f"the database at {server_name(url)}"
    if found.unknown:
        raise SchemaMismatch(
            f"{name} was made by a newer mtabounce ({found.version}); this one knows"
            f" {found.needed}: upgrade the program"
        )
    was = f"is at {found.version}" if found.applied else "is empty"
    raise SchemaMismatch(
        f"{name} {was}, and this program needs {found.needed}: run `mtabounce db migrate`"
    )


def _applied(conn: Connection[Any]) -> list[str]:
    sql = statements("migrate")
    (table,) = conn.execute(sql["find_table"]).fetchone() or (None,)
    if table is None:
        return []
    return [name for (name,) in conn.execute(sql["read_applied"])]


def _refuse_old_server(conn: Connection[Any]) -> None:
    found = conn.info.server_version
    if found < _OLDEST_SERVER:
        raise ConfigError(
            f"PostgreSQL {found // 10000} is too old: this program needs"
            f" {_OLDEST_SERVER // 10000} or newer"
        )


def _refuse_other_letters(conn: Connection[Any]) -> None:
    found = conn.info.parameter_status("server_encoding")
    if found != "UTF8":
        raise ConfigError(
            f'the database "{conn.info.dbname}" is encoded in {found}, and mails hold any letter:'
            " make it with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )


def _refuse_pooler(conn: Connection[Any], url: str) -> None:
    cursor = conn.execute(statements("migrate")["read_session"], {"name": OWN_SESSION})
    if cursor.fetchone() == (None,):
        raise pooler_between(url)
