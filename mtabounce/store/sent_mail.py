"""To whom mails went, for some days: sql/sent_mail.sql."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import scalar_row

from mtabounce.store.statements import statements

SQL = statements("sent_mail")
Sent = tuple[str, str, datetime]  # Message-ID, recipient (normalized), when


async def keep_days(conn: AsyncConnection[Any], since: date | None, until: date | None) -> int:
    """
    Make the days from *since* to *until* (UTC), and drop all before; None: drop all there are.

    Return how many were made or dropped. It waits for others as limit_waiting() says.
    """
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(SQL["keep_days"], {"since": since, "until": until})
        return int(await cursor.fetchone() or 0)


async def old_days(conn: AsyncConnection[Any], since: date | None) -> tuple[int, int]:
    """Return how many days are from before *since*, or at all where it is None, and their rows."""
    async with conn.cursor() as cursor:
        await cursor.execute(SQL["old_days"], {"since": since})
        return await cursor.fetchone() or (0, 0)


async def put(conn: AsyncConnection[Any], sent: Sequence[Sent]) -> None:
    """Keep *sent*, but for days that are not kept."""
    message_ids, recipients, times = zip(*sent, strict=True)
    args = {
        "message_ids": list(message_ids),
        "recipients": list(recipients),
        "times": list(times),
    }
    await conn.execute(SQL["put"], args, prepare=False)
