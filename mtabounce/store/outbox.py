"""What others are told; sql/outbox.sql."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection, Connection
from psycopg.rows import class_row

from mtabounce.policy import EVERYWHERE
from mtabounce.store.rows import Row, as_json
from mtabounce.store.statements import statements

SQL = statements("outbox")
_SUPPRESSIONS = "mtabounce_suppression"
_INCIDENTS = "mtabounce_incident"
_LONG = frozenset({"said", "still"})  # of a payload, these may be long; no note has them …
_LONGEST = 320  # … and of others so many characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One thing that one sink is to be told."""

    id: int  # the same for each attempt
    event: str
    recipient: str
    payload: dict[str, Any]
    attempts: int
    created_at: datetime

    @property
    def scope(self) -> str:
        """What it covers: EVERYWHERE, or one list or campaign."""
        return str(self.payload.get("scope", EVERYWHERE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A row of the outbox, as operators look at it."""

    id: int
    sink: str
    event: str
    recipient: str
    state: str
    attempts: int
    next_at: datetime
    error: str
    created_at: datetime


async def put_sinks(conn: AsyncConnection[Any], sinks: Mapping[str, Sequence[str]]) -> None:
    """Tell *sinks* (name → events) from now on, beside those of other daemons."""
    rows = [{"name": name, "events": list(events)} for name, events in sinks.items()]
    await conn.execute(SQL["put_sinks"], {"rows": as_json(rows)})


async def forget_lost_sinks(conn: AsyncConnection[Any], before: datetime) -> None:
    """Write nothing more for sinks that no daemon said it tells since *before*."""
    await conn.execute(SQL["forget_lost_sinks"], {"before": before})


async def add_events(conn: AsyncConnection[Any], rows: Sequence[Row]) -> None:
    """
    Write *rows* (event, recipient, payload), in order, for all sinks that want them.

    Whoever listens to mtabounce_suppression or mtabounce_incident is told after COMMIT.
    """
    placed = as_json([{**row, "place": place} for place, row in enumerate(rows)])
    await conn.execute(SQL["add_events"], {"rows": placed})
    channels = [_INCIDENTS if row["event"] == "incident" else _SUPPRESSIONS for row in rows]
    await notify(conn, zip(channels, map(_note, rows), strict=True))


async def notify(conn: AsyncConnection[Any], told: Iterable[tuple[str, str]]) -> None:
    """Send notes (each below 8,000 bytes) after COMMIT; *told*: channel and note, at least once."""
    channels, notes = zip(*told, strict=True)
    args = {"channels": list(channels), "notes": list(notes)}
    await conn.execute(SQL["notify"], args)


def _note(row: Row) -> str:
    """Return what listeners are told of an event."""
    payload = {name: value for name, value in row["payload"].items() if name not in _LONG}
    told = payload | {"event": row["event"], "recipient": row["recipient"]}
    return as_json([{name: _cut(value) for name, value in told.items()}])[1:-1]


def _cut(value: Any) -> Any:
    return value[:_LONGEST] if isinstance(value, str) else value


async def add_bounces(conn: AsyncConnection[Any], ids: Sequence[int]) -> None:
    """Write what bounces of recipients *ids* this transaction made, for sinks that want them."""
    await conn.execute(SQL["add_bounces"], {"ids": list(ids)})


async def claim(conn: AsyncConnection[Any], sink: str, limit: int) -> list[Message]:
    """Return up to *limit* messages that are due; they stay locked until the transaction ends."""
    async with conn.cursor(row_factory=class_row(Message)) as cursor:
        await cursor.execute(SQL["claim"], {"sink": sink, "limit": limit})
        return await cursor.fetchall()


async def finish(
    conn: AsyncConnection[Any], sent: Sequence[int], failed: Sequence[tuple[int, str, float | None]]
) -> None:
    """Note what was sent, and what failed: id, why, seconds to wait; None: give it up."""
    await conn.execute(SQL["sent"], {"ids": list(sent)})
    rows = [{"id": number, "error": why, "pause": pause} for number, why, pause in failed]
    await conn.execute(SQL["failed"], {"rows": as_json(rows)})


async def forget_sent(conn: AsyncConnection[Any], before: datetime) -> None:
    """Delete what was sent before *before*."""
    await conn.execute(SQL["forget_sent"], {"before": before})


def list_outbox(
    conn: Connection[Any], *, state: str | None, sink: str | None, limit: int
) -> list[Waiting]:
    """Return messages, the latest first; None leaves a filter out."""
    with conn.cursor(row_factory=class_row(Waiting)) as cursor:
        args = {"state": state, "sink": sink, "limit": limit}
        return cursor.execute(SQL["list_outbox"], args).fetchall()


def dead_by_sink(conn: Connection[Any]) -> dict[str, int]:
    """Return how many messages were given up, by sink."""
    return dict(conn.execute(SQL["dead_by_sink"]).fetchall())


def forget_sink(conn: Connection[Any], name: str) -> bool:
    """Write nothing more for a sink, and drop what it was to be told; return whether it was one."""
    return conn.execute(SQL["forget_sink"], {"name": name}).rowcount > 0


def retry(conn: Connection[Any], ids: Sequence[int] | None) -> tuple[int, int]:
    """
    Try dead messages *ids* again, None: all; return how many are tried, and how many stay dead.

    One stays dead where the sink was told something later about the same address: that must not be
    undone.
    """
    args = {"ids": ids and list(ids)}
    tried = conn.execute(SQL["retry"], args).rowcount
    (left,) = conn.execute(SQL["count_dead"], args).fetchone() or (0,)
    return tried, left
