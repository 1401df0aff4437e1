"""Polled mailboxes: which of their mails are known."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg import Connection as SyncConnection
from psycopg.rows import class_row, scalar_row

from mtabounce.store.rows import Row, as_json
from mtabounce.store.statements import statements
from mtabounce.store.text import clean_text

SQL = statements("mailboxes")
Connection = AsyncConnection[Any]


@dataclass(frozen=True, slots=True)
class Standing:
    """How polling stands with a mailbox."""

    mailbox: str
    polled_at: datetime | None = None  # None: never
    succeeded_at: datetime | None = None  # None: never
    trouble: str = ""  # why the last look failed; "": it did not
    refused_at: Sequence[datetime] = ()  # since the server last let us in; at most ten


@dataclass(frozen=True, slots=True)
class Known:
    """A mail that was looked at before."""

    uid: str
    digest: bytes | None  # SHA-256; None: it could not be fetched
    size: int  # octets, as the server said
    state: str  # stored, other or failed
    attempts: int
    seen_at: datetime


async def lock(conn: Connection, mailbox: str) -> bool:
    """Return whether *mailbox* is ours for as long as *conn* lasts; another may have it."""
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(SQL["lock"], {"mailbox": mailbox})
        return bool(await cursor.fetchone())


async def unlock(conn: Connection, mailbox: str) -> None:
    """Let another have *mailbox*, sooner than the end of *conn* does."""
    await conn.execute(SQL["unlock"], {"mailbox": mailbox})


async def standing(conn: Connection, mailbox: str) -> Standing:
    """Return how polling stands with *mailbox*."""
    async with conn.cursor(row_factory=class_row(Standing)) as cursor:
        await cursor.execute(SQL["standing"], {"mailbox": mailbox})
        return await cursor.fetchone() or Standing(mailbox)


def standing_sync(conn: SyncConnection[Any], mailbox: str) -> Standing:
    """Return the same, for what does one thing after another."""
    with conn.cursor(row_factory=class_row(Standing)) as cursor:
        return cursor.execute(SQL["standing"], {"mailbox": mailbox}).fetchone() or Standing(mailbox)


async def refused(conn: Connection, mailbox: str, trouble: str) -> None:
    """Note that the server of *mailbox* did not let us in."""
    await conn.execute(SQL["refused"], {"mailbox": mailbox, "trouble": clean_text(trouble)})


async def failed(conn: Connection, mailbox: str, trouble: str) -> None:
    """Note that *mailbox* could not be polled."""
    await conn.execute(SQL["failed"], {"mailbox": mailbox, "trouble": clean_text(trouble)})


async def succeeded(conn: Connection, mailbox: str) -> None:
    """Note that all in *mailbox* was fetched."""
    await conn.execute(SQL["succeeded"], {"mailbox": mailbox})


async def known(conn: Connection, mailbox: str, uids: Collection[str]) -> dict[str, Known]:
    """Return what is known of those mails in *mailbox* that have *uids*."""
    async with conn.cursor(row_factory=class_row(Known)) as cursor:
        await cursor.execute(SQL["known"], {"mailbox": mailbox, "uids": list(uids)})
        return {one.uid: one for one in await cursor.fetchall()}


async def stored_before(conn: Connection, mailbox: str, digests: Collection[bytes]) -> set[bytes]:
    """Return which of *digests* are of mails that were stored: a server may change its uids."""
    async with conn.cursor(row_factory=scalar_row) as cursor:
        args = {"mailbox": mailbox, "digests": list(digests)}
        await cursor.execute(SQL["stored_before"], args)
        return set(await cursor.fetchall())


async def note(conn: Connection, mailbox: str, rows: Sequence[Row]) -> None:
    """Write *rows* (uid, digest, size, state)."""
    await conn.execute(SQL["note"], {"mailbox": mailbox, "rows": as_json(rows)})


async def forget_others(conn: Connection, mailbox: str) -> None:
    """Forget the mails that were no bounces or could not be fetched: they are new again."""
    await conn.execute(SQL["forget_others"], {"mailbox": mailbox})


async def forget_gone(conn: Connection, mailbox: str, uids: Collection[str]) -> None:
    """Forget old mails that are none of *uids*, those that the mailbox has."""
    await conn.execute(SQL["forget_gone"], {"mailbox": mailbox, "uids": list(uids)})
