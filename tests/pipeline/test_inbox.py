"""The inbox: what append() returned for is in the database, whatever happens then."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from mtabounce.errors import StoreUnavailable
from mtabounce.model import RawInput
from mtabounce.pipeline import inbox as module
from mtabounce.pipeline.inbox import Inbox
from mtabounce.store.connection import connect

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def raw(content=b"mail", **changes):
    known = {"source": "receiver", "content": content, "received_at": NOW, "reverse_path": ""}
    return RawInput(**{**known, **changes})


@asynccontextmanager
async def running(connect, **settings):
    inbox = Inbox(connect, lambda: None, **settings)
    task = asyncio.create_task(inbox.run())
    try:
        yield inbox
    finally:
        inbox.close()
        await task


async def contents(conn):
    cursor = await conn.execute("SELECT content FROM inputs ORDER BY id")
    return [row[0] for row in await cursor.fetchall()]


async def test_input_is_stored_as_it_was_received(conn, connecting):
    given = raw(
        b"\0\xff mail\r\n",
        forward_paths=("bounces@example.org", "b+\udcff@example.org"),
        peer="192.0.2.1",
        trusted=True,
    )

    async with running(connecting) as inbox:
        await inbox.append(given)

    cursor = await conn.execute(
        "SELECT source, reverse_path, forward_paths, peer, trusted, received_at, content, state"
        " FROM inputs"
    )
    assert await cursor.fetchall() == [
        ("receiver", "", ["bounces@example.org", "b+\ufffd@example.org"], "192.0.2.1", True, NOW,
         b"\0\xff mail\r\n", "pending")
    ]  # fmt: skip


async def test_inputs_that_come_together_are_committed_together(conn, connecting):
    async with running(connecting) as inbox:
        await asyncio.gather(*(inbox.append(raw(b"%d" % number)) for number in range(500)))

    cursor = await conn.execute("SELECT count(*), count(DISTINCT xmin::text) FROM inputs")
    stored, transactions = await cursor.fetchone()
    assert stored == 500
    assert transactions < 20


async def test_contents_stay_with_their_inputs(conn, connecting):
    async with running(connecting) as inbox:
        await asyncio.gather(*(inbox.append(raw(b"%d" % n, source=f"s:{n}")) for n in range(100)))

    cursor = await conn.execute("SELECT source, content FROM inputs")
    assert all(source == f"s:{content.decode()}" for source, content in await cursor.fetchall())


async def test_sender_that_goes_away_does_not_stop_the_commit(conn, connecting):
    async with running(connecting) as inbox:
        sender = asyncio.create_task(inbox.append(raw(b"left behind")))
        await asyncio.sleep(0)
        sender.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sender

    assert await contents(conn) == [b"left behind"]


async def test_database_that_is_away_refuses_and_heals():
    async def away():
        return await connect("postgresql://x@127.0.0.1:1/x", application_name="t")

    async with running(away) as inbox:
        with pytest.raises(StoreUnavailable):
            await inbox.append(raw())


async def test_refusals_are_told_of_now_and_then(monkeypatch, caplog):
    async def away():
        return await connect("postgresql://x@127.0.0.1:1/x", application_name="t")

    async with running(away) as inbox:
        for number in range(6):
            if number == 5:
                monkeypatch.setattr(inbox, "_quiet_until", 0.0)  # the time is over
            with pytest.raises(StoreUnavailable):
                await inbox.append(raw())

    told = [one.getMessage().partition(":")[2] for one in caplog.records]
    assert [text.partition(":")[0] for text in told] == [" 1 inputs refused", " 5 inputs refused"]


async def test_connection_that_breaks_is_made_anew(conn, connecting):
    async with running(connecting) as inbox:
        await inbox.append(raw(b"before"))
        await conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        with pytest.raises(StoreUnavailable):
            await inbox.append(raw(b"lost its connection"))
        await inbox.append(raw(b"after"))

    assert await contents(conn) == [b"before", b"after"]


async def test_table_that_is_locked_refuses_in_time(conn, connecting):
    async with running(connecting, patience=0.3) as inbox:
        async with conn.transaction():
            await conn.execute("LOCK TABLE inputs")
            with pytest.raises(StoreUnavailable):
                await inbox.append(raw(b"too late"))
        await inbox.append(raw(b"in time"))

    assert b"in time" in await contents(conn)


async def test_memory_is_bounded(connecting, monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING_BYTES", 10)
    async with running(connecting) as inbox:
        first = asyncio.create_task(inbox.append(raw(b"12345678")))
        await asyncio.sleep(0)
        with pytest.raises(StoreUnavailable, match="no more"):
            await inbox.append(raw(b"12345678"))
        await first


async def test_closed_inbox_commits_what_waits_and_takes_no_more(conn, connecting):
    inbox = Inbox(connecting, lambda: None)
    task = asyncio.create_task(inbox.run())
    last = asyncio.create_task(inbox.append(raw(b"last")))
    await asyncio.sleep(0)
    inbox.close()

    await last
    await task
    with pytest.raises(StoreUnavailable):
        await inbox.append(raw())
    assert await contents(conn) == [b"last"]


async def test_inbox_is_busy_while_many_senders_wait(connecting):
    async with running(connecting) as inbox:
        await inbox.append(raw())
        assert not inbox.is_busy()

        await asyncio.gather(*(inbox.append(raw()) for _ in range(50)))
        assert inbox.is_busy()

        await asyncio.sleep(module.BUSY_FOR)
        assert not inbox.is_busy()
