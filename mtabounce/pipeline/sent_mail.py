"""
To whom each mail went, by its Message-ID: kept for some days, where that is asked for.

Providers hide in complaints who complained; the mail that they return has its Message-ID. A row
for each delivery is much where millions are sent: so nothing is kept unless a number of days is
named, and then each day is a partition, which is dropped as a whole.
"""

import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from psycopg import AsyncConnection

from mtabounce.address import normalize
from mtabounce.logs import Joined
from mtabounce.pipeline.locking import between_others
from mtabounce.pipeline.settings import SentMailSettings
from mtabounce.store import sent_mail as store
from mtabounce.store.erasure import erased_among
from mtabounce.store.text import clean_text

_AHEAD = timedelta(days=3)  # for as long nobody need look after it
_LONGEST = 998  # octets of a Message-ID: a line (RFC 5322 §2.1.1)
log = logging.getLogger(__name__)


async def keep_up(conn: AsyncConnection[Any], settings: SentMailSettings, now: datetime) -> int:
    """
    Make the days to come, and drop those that are over; *conn* is in autocommit mode.

    Return how many were made or dropped: 0, too, where the table is in use.
    """
    since = _since(settings, now)
    until = now.astimezone(UTC).date() + _AHEAD if settings.days else None
    count = await between_others(conn, lambda: store.keep_days(conn, since, until))
    if count is None:
        log.warning("sent_mail: the table is in use, and stays as it is until the next hour")
    return count or 0


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
