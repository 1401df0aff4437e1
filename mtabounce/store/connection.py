"""Connections to PostgreSQL that notice a dead server, and never wait without end."""

import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from psycopg import AsyncConnection, Connection, OperationalError, ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import AsyncConnectionPool
from psycopg_pool import ConnectionPool as SyncConnectionPool
from pydantic import Field, field_validator

from mtabounce.config import Duration, Section
from mtabounce.errors import ConfigError, MtabounceError, StoreUnavailable
from mtabounce.store.unavailable import one_line

ConnectionPool = SyncConnectionPool[Connection[Any]]
Connect = Callable[[], Awaitable[AsyncConnection[Any]]]  # as connect() does, in autocommit mode
SCHEMA = "mtabounce"
OWN_SESSION = f"{SCHEMA}.session"  # a setting that a connection has that came as we asked for it
# Whatever the administrator has set for the server, the database or the user.
_RELIED_ON: dict[str, int | str] = {
    "search_path": f"{SCHEMA},public",
    "datestyle": "ISO",  # psycopg reads no other, nor another intervalstyle
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "standard_conforming_strings": "on",
    "default_transaction_isolation": r"read\ committed",  # what was waited for is then read anew
    "idle_session_timeout": 0,  # who listens is silent
    OWN_SESSION: "own",
}
_UNREADABLE = (  # without the URL: it may hold a password
    "cannot be read; write postgresql://USER@HOST/DATABASE, with special characters percent-encoded"
)
_NOISE = re.compile(
    r"^(connection (failed|is bad): )?(connection to server .*? failed: )?(FATAL: +)?"
)


class DatabaseSettings(Section):
    """Where PostgreSQL is, and how long to wait for it. Without a url it is embedded."""

    url: str | None = Field(
        default=None,
        repr=False,  # it may hold a password
        description="URL or keywords of the database, as psql takes them, such as"
        ' "postgresql://mtabounce@db.example.org/mtabounce?passfile=/etc/mtabounce/pgpass".'
        " Absent: an embedded PostgreSQL in the state directory.",
    )
    connect_timeout: Duration = Field(
        default=timedelta(seconds=5),
        ge=timedelta(seconds=2),  # libpq takes less for 2 s
        le=timedelta(minutes=5),
        description="How long to wait for a connection, per address.",
    )
    dead_after: Duration = Field(
        default=timedelta(seconds=10),
        ge=timedelta(seconds=1),
        le=timedelta(minutes=10),
        description="After how long a silence a connection is given up as dead.",
    )
    statement_timeout: Duration = Field(
        default=timedelta(seconds=30),
        description='How long one statement may take; "0s": without end.',
    )
    lock_timeout: Duration = Field(
        default=timedelta(seconds=5), description='How long to wait for a lock; "0s": without end.'
    )
    idle_in_transaction_timeout: Duration = Field(
        default=timedelta(minutes=1),
        description='How long an open transaction may lie idle; "0s": for ever.',
    )

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str | None) -> str | None:
        try:
            conninfo_to_dict(url or "")
        except ProgrammingError:
            raise ValueError(_UNREADABLE) from None
        return url


DEFAULTS = DatabaseSettings()


def limited(url: str, settings: DatabaseSettings) -> str:
    """
    Return *url* as libpq keywords, with the limits of *settings* where it sets none itself.

    Whoever connects to that keeps to them. Raises ConfigError where *url* cannot be read; the
    message does not repeat it, as it may hold a password.
    """
    try:
        given = conninfo_to_dict(url)
    except ProgrammingError as error:
        raise ConfigError(f"[database] url: {_UNREADABLE}") from error
    dead_after = settings.dead_after.total_seconds()
    ours: dict[str, Any] = {
        "connect_timeout": round(settings.connect_timeout.total_seconds()),
        "keepalives_idle": max(1, round(dead_after / 2)),
        "keepalives_interval": max(1, round(dead_after / 6)),
        "keepalives_count": 3,
        "tcp_user_timeout": _milliseconds(settings.dead_after),
    }
    options = f"{_options(_limits(settings))} {given.pop('options', '')}"
    return make_conninfo("", **{**ours, **given, "options": options})


def connection_info(url: str, application_name: str, settings: DatabaseSettings) -> str:
    """Return *url* as `limited` does, with all else that we rely on. Raises as it does."""
    given = conninfo_to_dict(limited(url, settings))
    ours = {"application_name": application_name, "client_encoding": "utf8"}
    options = f"{given.pop('options')} {_options(_RELIED_ON)}"
    return make_conninfo("", **{**ours, **given, "options": options})


def server_name(url: str) -> str:
    """Return "host:port" of *url*, or of each of its servers, or the socket directory."""
    known = conninfo_to_dict(url)
    hosts = str(known.get("host") or known.get("hostaddr") or "localhost").split(",")
    ports = str(known.get("port") or 5432).split(",")
    named = zip(hosts, ports if len(ports) > 1 else ports * len(hosts), strict=False)
    return ", ".join(host if host.startswith("/") else f"{host}:{port}" for host, port in named)


async def connect(
    url: str,
    *,
    application_name: str,
    autocommit: bool = True,
    settings: DatabaseSettings = DEFAULTS,
) -> AsyncConnection[Any]:
    """
    Connect to *url*; with *autocommit*, transactions are those of ``conn.transaction()``.

    Raises StoreUnavailable where the server cannot be reached, ConfigError where *url* is wrong, or
    that of a pooler.
    """
    info = connection_info(url, application_name, settings)
    try:
        return await AsyncConnection.connect(info, autocommit=autocommit)
    except OperationalError as error:
        raise _unreachable(url, error) from error


def connect_sync(
    url: str,
    *,
    application_name: str,
    autocommit: bool = True,
    settings: DatabaseSettings = DEFAULTS,
    **others: str,
) -> Connection[Any]:
    """
    Connect as `connect` does, for what does one thing after another.

    *others* are libpq keywords that go before those of *url*, such as dbname.
    """
    info = make_conninfo(connection_info(url, application_name, settings), **others)
    try:
        return Connection.connect(info, autocommit=autocommit)
    except OperationalError as error:
        raise _unreachable(url, error) from error


def pooler_between(url: str) -> ConfigError:
    """Return the error that *url* is that of a pooler, which shares connections out."""
    return ConfigError(
        f"between {server_name(url)} and PostgreSQL stands a pooler of connections, such as"
        " pgbouncer: it drops what mtabounce sets, so name PostgreSQL itself in [database] url"
        " (mtabounce has a pool of its own)"
    )


async def limit_waiting(conn: AsyncConnection[Any], patience: timedelta) -> None:
    """
    Let this transaction wait for a lock no longer than *patience*.

    Its statements raise LockNotAvailable then.
    """
    wait = str(_milliseconds(patience))
    await conn.execute("SELECT set_config('lock_timeout', %s, true)", [wait])


def open_pool(
    url: str,
    *,
    application_name: str,
    max_size: int = 4,
    settings: DatabaseSettings = DEFAULTS,
) -> AsyncConnectionPool[AsyncConnection[Any]]:
    """
    Return a pool of autocommit connections, to be entered with ``async with``.

    It opens though the server is away; ``pool.connection()`` then fails after connect_timeout
    seconds, and heals by itself. Raises ConfigError where *url* is wrong.
    """
    return AsyncConnectionPool(
        connection_info(url, application_name, settings),
        kwargs={"autocommit": True},
        min_size=0,  # who does not ask keeps no server process
        max_size=max_size,
        open=False,
        timeout=settings.connect_timeout.total_seconds(),
        check=AsyncConnectionPool.check_connection,  # a restart of the server is not met twice
        name=application_name,
    )


def open_pool_sync(
    url: str,
    *,
    application_name: str,
    max_size: int = 4,
    settings: DatabaseSettings = DEFAULTS,
) -> ConnectionPool:
    """Return a pool as `open_pool` does, for threads; it opens at its first use, too."""
    return SyncConnectionPool(
        connection_info(url, application_name, settings),
        kwargs={"autocommit": True},
        min_size=0,
        max_size=max_size,
        open=False,
        timeout=settings.connect_timeout.total_seconds(),
        check=SyncConnectionPool.check_connection,
        name=application_name,
    )


def _limits(settings: DatabaseSettings) -> dict[str, int]:
    """Return what the server is to keep to; synchronous_commit stays as it is: on."""
    return {
        "statement_timeout": _milliseconds(settings.statement_timeout),
        "lock_timeout": _milliseconds(settings.lock_timeout),
        "idle_in_transaction_session_timeout": _milliseconds(settings.idle_in_transaction_timeout),
    }


def _options(values: Mapping[str, int | str]) -> str:
    return " ".join(f"-c {name}={value}" for name, value in values.items())


def _milliseconds(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)


def _unreachable(url: str, error: OperationalError) -> MtabounceError:
    why = _NOISE.sub("", one_line(error))
    if "unsupported startup parameter" in why:
        return pooler_between(url)
    return StoreUnavailable(
        f"no connection to PostgreSQL at {server_name(url)}: {why.partition('; ')[0]}"
        " (is it running, and is [database] url right?)"
    )
