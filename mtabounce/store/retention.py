"""Rows and partitions that are older than they are to be kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection, Connection, sql
from psycopg.rows import class_row, scalar_row
from psycopg.sql import Composed, Identifier

from mtabounce.store.statements import statements

SQL = statements("retention")
PARTITIONED = ("bounces", "observations")
_DEFAULTS = {name: f"{name}_default" for name in PARTITIONED}
_DELETE = "DELETE FROM mtabounce.{} WHERE ctid = ANY (ARRAY ({} LIMIT %(limit)s FOR UPDATE OF t SKIP LOCKED))"  # noqa: E501 (our own statements)


@dataclass(frozen=True, slots=True)
class Partition:
    """A month of a table."""

    name: str
    rows: int  # as PostgreSQL guesses


async def is_alone(conn: AsyncConnection[Any]) -> bool:
    """Tell whether nobody else looks after retention; nobody else will until *conn* is closed."""
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(SQL["lock_upkeep"])
        return bool(await cursor.fetchone())


async def old_partitions(
    conn: AsyncConnection[Any], table: str, before: datetime
) -> list[Partition]:
    """Return the monthly partitions of *table* that end before *before*, the oldest first."""
    async with conn.cursor(row_factory=class_row(Partition)) as cursor:
        await cursor.execute(SQL["old_partitions"], {"parent": table, "before": before})
        return await cursor.fetchall()


async def lock(conn: AsyncConnection[Any], table: str) -> None:
    """Keep all others off *table* until the transaction ends; wait as limit_waiting() says."""
    text = sql.SQL("LOCK TABLE ONLY mtabounce.{} IN ACCESS EXCLUSIVE MODE")
    await conn.execute(text.format(Identifier(table)))


async def drop_partition(conn: AsyncConnection[Any], partition: str) -> None:
    """Drop *partition*, whose table is locked."""
    await conn.execute(SQL["drop_month"], {"partition": partition})


async def pin(conn: AsyncConnection[Any], ids: Sequence[int], before: datetime) -> int:
    """Keep the suppressions of recipients *ids* that rest on bounces from before *before*."""
    args = {"ids": list(ids), "before": before, "gone": [], "actor": "retention"}
    return (await conn.execute(SQL["pin"], args)).rowcount


async def pin_without(
    conn: AsyncConnection[Any], ids: Sequence[int], gone: Sequence[int], actor: str
) -> None:
    """Do as pin() does for the bounces *gone*, which *actor* deletes."""
    args = {"ids": list(ids), "before": None, "gone": list(gone), "actor": actor}
    await conn.execute(SQL["pin"], args)


async def lock_old_recipients(
    conn: AsyncConnection[Any], before: datetime, after: int, limit: int
) -> list[int]:
    """Return the next recipients, by ids above *after*, that have bounces from before *before*."""
    return await _ids(conn, "lock_old_recipients", before=before, after=after, limit=limit)


async def decided_since(conn: AsyncConnection[Any], since: datetime) -> list[int]:
    """Return the recipients whom something was decided about since *since*."""
    return await _ids(conn, "decided_since", since=since)


async def count_old(conn: AsyncConnection[Any], table: str, before: datetime) -> int:
    """Return how many rows of *table* are from before *before*, outside of monthly partitions."""
    query = sql.SQL("SELECT count(*) FROM ({}) AS old").format(sql.SQL(SQL[f"old_{table}"]))
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(query, {"before": before})
        return int(await cursor.fetchone() or 0)


async def delete_old(conn: AsyncConnection[Any], table: str, before: datetime, limit: int) -> int:
    """Delete up to *limit* rows that count_old() counts; return how many there were."""
    args = {"before": before, "limit": limit}
    return (await conn.execute(_delete(table), args)).rowcount


def _delete(table: str) -> Composed:
    place = Identifier(_DEFAULTS.get(table, table))
    return sql.SQL(_DELETE).format(place, sql.SQL(SQL[f"old_{table}"]))


async def forget_recipients(
    conn: AsyncConnection[Any], before: datetime, after: int, limit: int
) -> tuple[int, list[int]]:
    """
    Delete recipients, by ids above *after*, of whom nothing since *before* is left.

    Return how many were deleted, and the ids that were looked at: none where there are no more.
    """
    ids = await _ids(conn, "lock_forgotten_recipients", before=before, after=after, limit=limit)
    if not ids:
        return 0, []
    return (await conn.execute(SQL["forget_recipients"], {"ids": ids})).rowcount, ids


def has_partitions(conn: Connection[Any], since: datetime, until: datetime) -> bool:
    """Tell whether every month from *since* to *until* has its partitions."""
    with conn.cursor(row_factory=scalar_row) as cursor:
        found = cursor.execute(SQL["has_partitions"], {"since": since, "until": until}).fetchone()
        return bool(found)


async def _ids(conn: AsyncConnection[Any], statement: str, **args: object) -> list[int]:
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(SQL[statement], args)
        return await cursor.fetchall()
