"""
How long things are kept, and how they go: months of bounces are dropped, other rows deleted.

Bounces and observations grow without end, and are partitioned by month. The other tables are not:
inputs and outbox are queues, in which what waits stays however old it is; among decisions, those
of operators stay, and those that explain a suppression. Their rows are deleted a few thousand at a
time, which leaves their space to the rows that come.

A suppression outlives the bounces that it rests on: before they go it is written down as a
decision of its own, in words, which policy keeps to from then on. What waits to be read or sent
never goes.
"""

import logging
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from prometheus_client import Counter as Metric
from prometheus_client import Gauge
from psycopg import AsyncConnection

from mtabounce.pipeline.locking import between_others
from mtabounce.pipeline.settings import KEPT_BY, RetentionSettings
from mtabounce.store import retention as store

ROWS = Metric("mtabounce_retention_rows_total", "Rows that retention deleted.", ["table"])
PARTITIONS = Metric(
    "mtabounce_retention_partitions_total", "Monthly partitions that retention dropped.", ["table"]
)
PINNED = Metric(
    "mtabounce_retention_kept_suppressions_total", "Suppressions that outlived their bounces."
)
RAN_AT = Gauge("mtabounce_retention_last_run_seconds", "When retention last ran, as Unix time.")
BATCH = 5000
log = logging.getLogger(__name__)

TABLES = tuple(KEPT_BY)


async def due(
    conn: AsyncConnection[Any], settings: RetentionSettings, now: datetime
) -> AsyncIterator[tuple[str, int, list[str]]]:
    """Give what would go: table, rows (a guess for partitions), and its partitions."""
    for table in TABLES:
        before = settings.before(table, now)
        if before is None or table == "recipients":
            continue
        old = await _partitions(conn, table, before)
        rows = await store.count_old(conn, table, before) + sum(one.rows for one in old)
        yield table, rows, [one.name for one in old]


async def _partitions(
    conn: AsyncConnection[Any], table: str, before: datetime
) -> list[store.Partition]:
    if table not in store.PARTITIONED:
        return []
    return await store.old_partitions(conn, table, before)


async def retain(
    conn: AsyncConnection[Any], settings: RetentionSettings, now: datetime
) -> Counter[str]:
    """
    Let go what is older than *settings* say, at *now*; *conn* is in autocommit mode.

    Return how many rows went by table (a guess where months were dropped); nothing where
    another host is at it.
    """
    gone: Counter[str] = Counter()
    if not await store.is_alone(conn):
        return gone
    for table in store.PARTITIONED:
        if before := settings.before(table, now):
            gone += await _drop_months(conn, table, before)
    for table in TABLES[:-1]:
        if before := settings.before(table, now):
            gone[table] += await _delete(conn, table, before)
    if before := settings.before("recipients", now):
        gone["recipients"] += await _forget_recipients(conn, before)
    RAN_AT.set(now.timestamp())
    return +gone


async def _drop_months(conn: AsyncConnection[Any], table: str, before: datetime) -> Counter[str]:
    gone: Counter[str] = Counter()
    old = await store.old_partitions(conn, table, before)
    started = datetime.now(UTC)
    if table == "bounces" and (old or await store.count_old(conn, table, before)):
        gone["suppressions kept"] = await _pin(conn, before)
    for partition in old:
        if await _drop(conn, table, partition.name, before, started):
            gone[table] += partition.rows
            PARTITIONS.labels(table).inc()
            log.info("retention: dropped %s", partition.name)
    return gone


async def _pin(conn: AsyncConnection[Any], before: datetime) -> int:
    after = kept = 0
    while True:
        async with conn.transaction():
            ids = await store.lock_old_recipients(conn, before, after, BATCH)
            if not ids:
                break
            kept += await store.pin(conn, ids, before)
        after = max(ids)
    PINNED.inc(kept)
    return kept


async def _drop(
    conn: AsyncConnection[Any], table: str, partition: str, before: datetime, started: datetime
) -> bool:
    """
    Drop *partition*; False where others used its *table* all the time.

    The suppressions of those whom something was decided about since *started* are kept as well.
    """

    async def drop() -> bool:
        await store.lock(conn, table)
        if table == "bounces":
            await store.pin(conn, await store.decided_since(conn, started), before)
        await store.drop_partition(conn, partition)
        return True

    if await between_others(conn, drop):
        return True
    log.warning("retention: %s is in use, and stays until the next hour", partition)
    return False


async def _delete(conn: AsyncConnection[Any], table: str, before: datetime) -> int:
    count = 0
    while some := await store.delete_old(conn, table, before, BATCH):
        count += some
    ROWS.labels(table).inc(count)
    return count


async def _forget_recipients(conn: AsyncConnection[Any], before: datetime) -> int:
    after = count = 0
    while True:
        async with conn.transaction():
            some, seen = await store.forget_recipients(conn, before, after, BATCH)
        count += some
        if not seen:
            ROWS.labels("recipients").inc(count)
            return count
        after = max(seen)
