"""Polled mailboxes: which of their mails are known."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row, scalar_row

from mtabounce.store.rows import Row, as_json
from mtabounce.store.statements import statements

SQL = statements("mailboxes")
Connection = AsyncConnection[Any]


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


async def known(conn: Connection, mailbox: str) -> list[Known]:
    """Return what is known of *mailbox*."""
    async with conn.cursor(row_factory=class_row(Known)) as cursor:
        await cursor.execute(SQL["known"], {"mailbox": mailbox})
        return await cursor.fetchall()


async def note(conn: Connection, mailbox: str, rows: Sequence[Row]) -> None:
    """Write *rows* (uid, digest, size, state)."""
    await conn.execute(SQL["note"], {"mailbox": mailbox, "rows": as_json(rows)})


async def forget_others(conn: Connection, mailbox: str) -> None:
    """Forget the mails that were no bounces or could not be fetched: they are new again."""
    await conn.execute(SQL["forget_others"], {"mailbox": mailbox})


async def forget_gone(conn: Connection, mailbox: str, uids: Collection[str]) -> None:
    """Forget old mails that are none of *uids*, those that the mailbox has."""
    await conn.execute(SQL["forget_gone"], {"mailbox": mailbox, "uids": list(uids)})
