"""Monthly partitions: made ahead of time, so that rows do not gather in the default ones."""

from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import AsyncConnection

from mtabounce.store.statements import statements
from mtabounce.store.unavailable import unavailable

_BACK = timedelta(days=62)  # a DSN may be that late; older ones go to the default partition
_AHEAD = timedelta(days=92)  # for as long nobody need look after them


async def ensure_partitions(conn: AsyncConnection[Any], now: datetime | None = None) -> int:
    """
    Make the missing partitions from two months before *now* to three after; return how many.

    Run at the start of serve, and daily. Raises StoreUnavailable where PostgreSQL cannot be
    asked now.
    """
    now = now or datetime.now(UTC)
    span = {"since": now - _BACK, "until": now + _AHEAD}
    with unavailable():
        cursor = await conn.execute(statements("partitions")["ensure_partitions"], span)
        (made,) = await cursor.fetchone() or (0,)
        return int(made)
