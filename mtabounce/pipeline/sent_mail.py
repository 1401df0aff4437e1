"""
To whom each mail went, by its Message-ID: kept for some days, where that is asked for.

Providers hide in complaints who complained; the mail that they return has its Message-ID. A row
for each delivery is much where millions are sent: so nothing is kept unless a number of days is
named, and then each day is a partition, which is dropped as a whole.
"""

import asyncio
import logging
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from psycopg import AsyncConnection
from psycopg.errors import LockNotAvailable

from mtabounce.address import normalize
from mtabounce.logs import Joined
from mtabounce.pipeline.settings import SentMailSettings
from mtabounce.store import sent_mail as store
from mtabounce.store.erasure import erased_among
from mtabounce.store.text import clean_text

_AHEAD = timedelta(days=3)  # so long may nobody look after it
_PATIENCE = timedelta(milliseconds=200)  # so long may others wait for us to get the lock
_TRIES = 20  # for the lock, before it is left to the next hour
_LONGEST = 998  # octets of a Message-ID: a line (RFC 5322 §2.1.1)
log = logging.getLogger(__name__)


async def keep_up(conn: AsyncConnection[Any], settings: SentMailSettings, now: datetime) -> int:
    """
    Make the days to come, and drop those that are over; *conn* is in autocommit mode.

    Return how many were made or dropped: 0, too, where the table is in use.
    """
    since = _since(settings, now)
    until = now.astimezone(UTC).date() + _AHEAD if settings.days else None
    for _ in range(_TRIES):
        try:
            async with conn.transaction():
                return await store.keep_days(conn, since, until, _PATIENCE)
        except LockNotAvailable:
            await asyncio.sleep(random.uniform(0.05, 0.5))  # noqa: S311 (no secret)
    log.warning("sent_mail: the table is in use, and stays as it is until the next hour")
    return 0


async def due(
    conn: AsyncConnection[Any], settings: SentMailSettings, now: datetime
) -> dict[str, int]:
    """Return the rows, as PostgreSQL guesses, that keep_up() would drop, by table: {} for none."""
    days, rows = await store.old_days(conn, _since(settings, now))
    return {"sent_mail": rows} if days else {}


def _since(settings: SentMailSettings, now: datetime) -> date | None:
    """Return the first day that is kept (UTC); None: none is."""
    return now.astimezone(UTC).date() - timedelta(days=settings.days) if settings.days else None


async def keep(conn: AsyncConnection[Any], joined: Joined) -> None:
    """Keep to whom the mails of *joined* went, in the transaction of *conn*."""
    sent = list(_rows(joined))
    gone = await erased_among(conn, {recipient for _, recipient, _ in sent}) if sent else set()
    if left := [one for one in sent if one[1] not in gone]:
        await store.put(conn, left)


def _rows(joined: Joined) -> Iterator[store.Sent]:
    for (message_id, recipient), stamp in joined.sent.items():
        if message_id and len(message_id) <= _LONGEST and (name := _key(recipient)):
            yield clean_text(message_id), name, joined.clock(stamp)


def _key(recipient: bytes) -> str:
    try:
        return clean_text(normalize(recipient.decode("utf-8", "replace")))
    except ValueError:
        return ""
