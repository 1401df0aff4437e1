"""
Brings a database to the schema that this program needs.

yoyo finds, orders, splits and runs the migrations. What it does around that is not safe
against kill -9: it commits a migration and its mark one after the other, and its lock is a
row that a killed process leaves behind. `_Backend` changes both.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import yoyo
from psycopg import Connection
from psycopg.errors import InsufficientPrivilege
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import DatabaseURI

from mtabounce.errors import ConfigError
from mtabounce.store.connection import SCHEMA, DatabaseSettings, connect_sync, server_name
from mtabounce.store.roles import grant_roles
from mtabounce.store.statements import statements
from mtabounce.store.unavailable import unavailable
from mtabounce.store.version import migrations_folder, refuse_mismatch, status

log = logging.getLogger(__name__)
logging.getLogger("yoyo").setLevel(logging.WARNING)  # a line for each statement is too much

# A migration may take long, but shall not make others wait behind it for a lock.
_LIMITS = DatabaseSettings(statement_timeout=timedelta(0), lock_timeout=timedelta(seconds=30))


def migrate(url: str, folder: Path | None = None) -> list[str]:
    """
    Apply what the database lacks of the migrations in *folder*; return their names.

    Each is one transaction; all that an empty database lacks is one, too. Two that run at once
    wait for each other. *folder* is None for the program's own. Raises SchemaMismatch where the
    database is newer than this program, ConfigError where the user may not, StoreUnavailable where
    PostgreSQL cannot be asked.
    """
    if folder is None and (found := status(url)).unknown:
        refuse_mismatch(url, found)
    with unavailable(), _explain_refusal(url), _Backend(url) as backend, backend.lock():
        with backend.all_or_nothing():
            migrations = backend.to_apply(yoyo.read_migrations(str(folder or migrations_folder())))
            backend.apply_migrations(migrations)
        if folder is None:
            grant_roles(backend.connection)
        return [migration.id for migration in migrations]


def prepare(url: str) -> list[str]:
    """
    Migrate an empty database, and check any other: what `serve` does at its start.

    Returns the names of the migrations applied. Raises as `migrate` does, and SchemaMismatch
    where the database is older: whoever runs it shall choose the moment.
    """
    found = status(url)
    if found.applied:
        refuse_mismatch(url, found)
        return []
    return migrate(url)


class _Backend(PostgresqlPsycopgBackend):  # type: ignore[misc] # yoyo has no types
    """yoyo on one connection of ours, with a lock that dies with it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._has_table = False
        super().__init__(DatabaseURI("", None, None, None, None, "", {}), "migrations")
        self.schema = SCHEMA

    def connect(self, dburi: DatabaseURI) -> Connection[Any]:
        del dburi
        return connect_sync(self._url, application_name="mtabounce migrate", settings=_LIMITS)

    @contextmanager
    def lock(self, timeout: float = 0) -> Iterator[None]:
        del timeout
        with self.connection.transaction():
            self.connection.execute("SET LOCAL lock_timeout = 0")
            self.connection.execute(statements("migrate")["lock"])
        yield  # closing the connection lets go of it

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Make an empty database whole or not at all: half of one looks like an older one."""
        found = self.connection.execute(statements("migrate")["find_table"]).fetchone()
        with self.transaction() if found == (None,) else nullcontext():
            yield

    def ensure_internal_schema_updated(self) -> None:
        if self._has_table:
            return
        with self.transaction():
            self.connection.execute(statements("migrate")["make_table"])
        self._has_table = True

    def apply_one(self, migration: Any, force: bool = False, mark: bool = True) -> None:
        log.info("applying migration %s", migration.id)
        with self.transaction():
            migration.process_steps(self, "apply", force=force)
            if mark:
                self.mark_one(migration, log=False)


@contextmanager
def _explain_refusal(url: str) -> Iterator[None]:
    try:
        yield
    except InsufficientPrivilege as error:
        raise ConfigError(
            f"the database at {server_name(url)} refuses to be migrated by this user"
            f" ({error.diag.message_primary}): run `mtabounce db migrate` as its owner"
        ) from error
