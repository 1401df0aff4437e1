"""Connections keep our limits, and troubles with them are one line without a password."""

import asyncio
import socket
import time
from datetime import timedelta

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from mtabounce.errors import ConfigError, StoreUnavailable
from mtabounce.store import (
    DatabaseSettings,
    connect,
    connect_sync,
    open_pool,
    unavailable,
)
from mtabounce.store.connection import connection_info, server_name
from mtabounce.store.partitions import ensure_partitions

SHOWN = {
    "search_path": "mtabounce,public",
    "statement_timeout": "2s",
    "lock_timeout": "500ms",
    "idle_in_transaction_session_timeout": "1min",
    "synchronous_commit": "on",
    "application_name": "a test",
    "client_encoding": "UTF8",
}


@pytest.mark.parametrize(("name", "value"), SHOWN.items())
def test_server_keeps_to_our_limits(name, value, database_url):
    settings = DatabaseSettings(
        statement_timeout=timedelta(seconds=2), lock_timeout=timedelta(milliseconds=500)
    )

    with connect_sync(database_url, application_name="a test", settings=settings) as conn:
        assert conn.execute(f"SHOW {name}").fetchone() == (value,)


def test_options_of_the_url_go_before_ours(database_url):
    url = f"{database_url}&options=-c%20lock_timeout%3D7s&application_name=mine"

    with connect_sync(url, application_name="a test") as conn:
        assert conn.execute("SHOW lock_timeout").fetchone() == ("7s",)
        assert conn.execute("SHOW application_name").fetchone() == ("mine",)
        assert conn.execute("SHOW search_path").fetchone() == ("mtabounce,public",)


async def test_server_that_never_answers_is_given_up_in_time():
    settings = DatabaseSettings(connect_timeout=timedelta(seconds=2))
    with socket.create_server(("127.0.0.1", 0)) as server:  # the kernel accepts, and that is all
        port = server.getsockname()[1]
        begun = time.monotonic()

        with pytest.raises(StoreUnavailable, match=f"at 127.0.0.1:{port}: connection timeout"):
            await connect(
                f"postgresql://u@127.0.0.1:{port}/x", application_name="a test", settings=settings
            )

    assert time.monotonic() - begun < 20  # of 2


def test_dead_peer_is_noticed_by_the_kernel(database_url):
    settings = DatabaseSettings(dead_after=timedelta(seconds=3))

    known = conninfo_to_dict(connection_info("postgresql://h/x", "a test", settings))

    assert known["tcp_user_timeout"] == "3000"
    probes = int(known["keepalives_interval"]) * int(known["keepalives_count"])
    assert int(known["keepalives_idle"]) + probes <= 5


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u:secret@127.0.0.1:1/x", "at 127.0.0.1:1: Connection refused ("),
        ("host=127.0.0.1 port=1 password=secret", "at 127.0.0.1:1: Connection refused ("),
        ("postgresql://u:secret@h.invalid/x", "at h.invalid:5432: failed to resolve host"),
        ("host=/nonexistent password=secret", "at /nonexistent: No such file or directory ("),
        ("postgresql://u:secret@127.0.0.1:1,127.0.0.2:1/x", "Connection refused"),
    ],
)
async def test_server_that_cannot_be_reached_is_one_line_without_password(url, said):
    with pytest.raises(StoreUnavailable) as trouble:
        await connect(url, application_name="a test")

    assert said in str(trouble.value)
    assert "\n" not in str(trouble.value)
    assert "secret" not in str(trouble.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:my secret@h/x",
        "host=h password='secret",
        "secret",
        "postgresql://u:secret@h/x?no_such_option=1",
        "postgresql://u:secret%zz@h/x",
        "host=h sslmode=secret",
    ],
)
def test_url_that_makes_no_sense_is_told_without_repeating_it(url):
    with pytest.raises((ConfigError, StoreUnavailable)) as refusal:
        connect_sync(url, application_name="a test")

    assert "secret" not in str(refusal.value)
    assert "[database] url" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_settings_do_not_show_the_url():
    assert "secret" not in repr(DatabaseSettings(url="postgresql://u:secret@h/x"))


async def test_pool_heals_after_its_server_was_away(database_url):
    async with open_pool(database_url, application_name="a test", max_size=1) as pool:
        async with pool.connection() as conn:
            backend = conn.info.backend_pid
        with psycopg.connect(database_url, autocommit=True) as conn:
            conn.execute("SELECT pg_terminate_backend(%s)", [backend])

        async with pool.connection() as conn:
            assert conn.info.backend_pid != backend


async def test_pool_that_finds_no_server_gives_up_in_time():
    settings = DatabaseSettings(connect_timeout=timedelta(seconds=2))
    url = "postgresql://u:secret@127.0.0.1:1/x"

    async with open_pool(url, application_name="a test", settings=settings) as pool:
        with pytest.raises(StoreUnavailable), unavailable():
            async with pool.connection():
                pass


def run(url: str, *texts: str, **limits: timedelta) -> None:
    settings = DatabaseSettings(**limits)
    with unavailable(), connect_sync(url, application_name="a test", settings=settings) as conn:
        for text in texts:
            conn.execute(text)


def test_statement_that_takes_too_long_may_be_tried_later(database_url):
    with pytest.raises(StoreUnavailable, match="canceling statement due to statement timeout"):
        run(database_url, "SELECT pg_sleep(5)", statement_timeout=timedelta(milliseconds=50))


def test_lock_that_others_hold_may_be_tried_later(database_url):
    with psycopg.connect(database_url) as other:
        other.execute("LOCK TABLE mtabounce.inputs")

        with pytest.raises(StoreUnavailable, match="lock timeout"):
            run(
                database_url,
                "SELECT FROM mtabounce.inputs",
                lock_timeout=timedelta(milliseconds=50),
            )


@pytest.mark.parametrize(
    "statements",
    [
        ["SELECT pg_terminate_backend(pg_backend_pid())"],
        ["SET default_transaction_read_only = on", "DELETE FROM mtabounce.inputs"],
    ],
)
def test_trouble_that_passes_may_be_tried_later(statements, database_url):
    with pytest.raises(StoreUnavailable) as trouble:
        run(database_url, *statements)

    assert str(trouble.value).startswith("PostgreSQL: ")
    assert "\n" not in str(trouble.value)


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("SELECT 1 / 0", errors.DivisionByZero),
        ("SELECT FROM no_such_table", errors.UndefinedTable),
        ("SELECT E'\\xff'", errors.CharacterNotInRepertoire),
        ("INSERT INTO mtabounce.inputs (source) VALUES ('x')", errors.NotNullViolation),
    ],
)
def test_fault_of_the_statement_itself_is_not_hidden(statement, error, database_url):
    with pytest.raises(error):
        run(database_url, statement)


async def test_partitions_are_made_from_two_months_back_to_three_ahead(database_url):
    async with await connect(database_url, application_name="t") as conn:
        made = await ensure_partitions(conn)

        again = await ensure_partitions(conn)

    assert made >= 2 * 6  # both tables, this month among five others
    assert again == 0


async def test_two_who_make_partitions_at_once_do_not_disturb_each_other(database_url):
    async def make() -> int:
        async with await connect(database_url, application_name="t") as conn:
            return await ensure_partitions(conn)

    made = await asyncio.gather(make(), make(), make())

    assert sorted(made)[:2] == [0, 0]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://me:secret@db/m", "db:5432"),
        ("postgresql://me@a:1,b:2/m?target_session_attrs=read-write", "a:1, b:2"),
        ("host=a,b port=7", "a:7, b:7"),
        ("postgresql:///m?host=/run/postgresql", "/run/postgresql"),
    ],
)
def test_servers_are_named_as_one_would_type_them(url, name):
    assert server_name(url) == name
