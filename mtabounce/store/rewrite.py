"""What is read and written where inputs are judged again."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg import Connection as SyncConnection
from psycopg.rows import class_row, dict_row, scalar_row

from mtabounce.correlate import META, Bounce
from mtabounce.model import BounceType, Fault, Trust
from mtabounce.store.inputs import ClaimedInput
from mtabounce.store.rows import Row, as_json
from mtabounce.store.statements import statements

SQL = statements("rewrite")
Connection = AsyncConnection[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which inputs; None leaves a condition out."""

    ids: Sequence[int] | None = None
    since: datetime | None = None
    state: str | None = None  # done or failed
    outcome: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedInput(ClaimedInput):
    """An input, and what became of it."""

    state: str  # done or failed
    outcome: str | None  # None: it failed

    @property
    def was(self) -> str:
        """What became of it, in one word."""
        return self.outcome or self.state


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What an input or a log said about one recipient, as it is stored."""

    recipient_id: int
    recipient: str
    occurred_at: datetime
    key: bytes
    bounce_id: int | None
    input_id: int | None  # None: a log said it
    outcome: str
    type: str | None
    reason: str
    rule: str
    status: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged(Said):
    """What a log said about one recipient: all of it, as no input is kept of it."""

    source: str
    parser: str
    trust: str
    final_recipient: str
    original_recipient: str
    action: str | None
    diagnostic_code: str
    remote_mta: str
    reporting_mta: str
    original_message_id: str
    queue_id: str
    campaign: str
    facts: dict[str, str]


Mark = tuple[int, datetime, bytes]  # recipient_id, occurred_at and key of an observation


def _conditions(selection: Selection) -> dict[str, Any]:
    ids = None if selection.ids is None else list(selection.ids)
    return asdict(selection) | {"ids": ids}


def count_trimmed(conn: SyncConnection[Any], selection: Selection) -> int:
    """Return how many inputs of *selection* cannot be judged again: not all of them is kept."""
    with conn.cursor(row_factory=scalar_row) as cursor:
        return int(cursor.execute(SQL["trimmed"], _conditions(selection)).fetchone() or 0)


async def inputs_to_judge(
    conn: Connection, selection: Selection, after: int, limit: int
) -> list[JudgedInput]:
    """Return up to *limit* inputs of *selection* with a number above *after*, in order."""
    args = {"after": after, "limit": limit} | _conditions(selection)
    async with conn.cursor(row_factory=class_row(JudgedInput)) as cursor:
        await cursor.execute(SQL["inputs_to_judge"], args, binary=True)
        return await cursor.fetchall()


async def logged_to_judge(
    conn: Connection, selection: Selection, after: Mark, limit: int
) -> list[Logged]:
    """Return up to *limit* of what logs said behind *after*, in order of recipients."""
    place = dict(zip(("recipient_id", "occurred_at", "key"), after, strict=True))
    args = {"limit": limit} | place | _conditions(selection)
    async with conn.cursor(row_factory=class_row(Logged)) as cursor:
        await cursor.execute(SQL["logged_to_judge"], args)
        return await cursor.fetchall()


async def said_by_inputs(conn: Connection, ids: Sequence[int]) -> list[Said]:
    """Return what the inputs *ids* said until now."""
    async with conn.cursor(row_factory=class_row(Said)) as cursor:
        await cursor.execute(SQL["said_by_inputs"], {"ids": list(ids)})
        return await cursor.fetchall()


async def delete_observations(conn: Connection, rows: Sequence[Row]) -> None:
    """Delete the observations of *rows* (recipient_id, occurred_at, key)."""
    await conn.execute(SQL["delete_observations"], {"rows": as_json(rows)})


async def evidence_of(conn: Connection, ids: Sequence[int]) -> list[Bounce]:
    """Return each observation of the bounces *ids*, as the bounce that it alone would make."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL["evidence_of"], {"ids": list(ids)})
        return [_bounce(columns) for columns in await cursor.fetchall()]


def _bounce(columns: Mapping[str, Any]) -> Bounce:
    known = dict(columns)
    facts, source, seen_at = known.pop("facts"), known.pop("source"), known["decisive_at"]
    return Bounce(
        **known
        | {
            "type": BounceType(known["type"]),
            "fault": known["fault"] and Fault(known["fault"]),
            "trust": Trust(known["trust"]),
            "sources": (source,),
            "meta": {name: facts[fact] for name, fact in META.items() if fact in facts},
            "first_seen_at": seen_at,
            "last_seen_at": seen_at,
        }
    )


async def delete_refs_of(conn: Connection, ids: Sequence[int]) -> None:
    """Forget what the bounces *ids* were known by."""
    await conn.execute(SQL["delete_refs_of"], {"ids": list(ids)})


async def said_elsewhere(conn: Connection, rows: Sequence[Row]) -> set[tuple[int, str, bytes]]:
    """Return which of *rows* (input_id, recipient, key) another input said."""
    cursor = await conn.execute(SQL["said_elsewhere"], {"rows": as_json(rows)})
    return {(number, recipient, key) for number, recipient, key in await cursor.fetchall()}
