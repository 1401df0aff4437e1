"""What policy knows of addresses, and what it decided."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from psycopg import AsyncConnection
from psycopg import Connection as SyncConnection
from psycopg.rows import dict_row, scalar_row

from mtabounce.address import sender_domain
from mtabounce.model import BounceType, Fault, Trust
from mtabounce.policy import DELIVERY_LIFTS, Consequence, Event, EventKind, Suppression
from mtabounce.store.rows import Row, as_json
from mtabounce.store.statements import statements

SQL = statements("policy")
_MANY = 500  # decisions: of so many, most were written when their events came
Connection = AsyncConnection[Any]


async def clock(conn: Connection) -> datetime:
    """Return the time by the clock of PostgreSQL."""
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(SQL["clock"])
        return cast("datetime", await cursor.fetchone())


async def histories(
    conn: Connection, ids: Sequence[int], trusts: Sequence[Trust] | None = None
) -> dict[int, list[Event]]:
    """
    Return what happened to each of the recipients *ids*.

    With *trusts*, bounces of other trust are left out, but for those of this transaction: whoever
    makes claims by the thousand makes nobody slow.
    """
    args = {"ids": list(ids), "trusts": trusts and list(trusts), "proof": DELIVERY_LIFTS}
    found: defaultdict[int, list[Event]] = defaultdict(list)
    async with conn.cursor(row_factory=dict_row) as cursor:
        for name, event in _EVENTS.items():
            await cursor.execute(SQL[name], args)
            for row in await cursor.fetchall():
                found[row["recipient_id"]].append(event(row))
    return found


def _bounce(row: Mapping[str, Any]) -> Event:
    return Event(
        kind=EventKind.BOUNCE,
        at=row["at"],
        id=row["id"],
        message=row["original_message_id"],
        type=BounceType(row["type"]),
        reason=row["reason"],
        fault=row["fault"] and Fault(row["fault"]),
        trust=Trust(row["trust"]),
        campaign=row["campaign"],
        list_id=_list_id(row["list_id"] or ""),
        is_local="@" not in row["recipient"],
        incident=row["incident"],
        was_taken=row["was_taken"],
        sender=sender_domain(row["sender"] or ""),
    )


def _list_id(header: str) -> str:
    """Return the id of a List-Id header, "News <news.example.org>" (RFC 2919)."""
    _, bracket, named = header.rpartition("<")
    return (named.partition(">")[0] if bracket else header).strip().lower()


def names_seen(conn: SyncConnection[Any]) -> dict[str, set[str]]:
    """Return the names of campaigns, and of lists (RFC 2919), of which something was seen."""
    return {
        "campaign": {name for (name,) in conn.execute(SQL["campaigns_seen"])},
        "list_id": {_list_id(header) for (header,) in conn.execute(SQL["lists_seen"])},
    }


def _delivery(row: Mapping[str, Any]) -> Event:
    return Event(kind=EventKind.DELIVERED, at=row["delivered_at"], trust=Trust.PROVEN)


def _word(row: Mapping[str, Any]) -> Event:
    kind, _, name = row["scope"].partition(":")
    return Event(
        kind=EventKind.ADDED if row["action"] == "add" else EventKind.REMOVED,
        at=row["decided_at"],
        id=row["id"],
        type=row["type"] and BounceType(row["type"]),
        reason=row["reason"],
        until=row["until"],
        forgives=tuple(row["bounces"]),
        undoes=tuple(row["undoes"]),
        list_id=name if kind == "list" else "",
        campaign=name if kind == "campaign" else "",
    )


def _kept(row: Mapping[str, Any]) -> Event:
    return Event(
        kind=EventKind.KEPT,
        at=row["decided_at"],
        id=row["id"],
        type=row["type"] and BounceType(row["type"]),
        reason=row["reason"],
        until=row["until"],
        rests_on=tuple(row["bounces"]),
        cause=row["cause"],
        action=Consequence(row["consequence"]),
        covers=row["scope"],
    )


_EVENTS = {
    "bounces_of": _bounce,
    "deliveries_of": _delivery,
    "words_of_operators": _word,
    "kept_by_retention": _kept,
}


async def suppressions_of(
    conn: Connection, recipients: Sequence[str]
) -> dict[str, dict[str, Suppression]]:
    """Return the stored suppressions of *recipients*: recipient → scope → suppression."""
    found: defaultdict[str, dict[str, Suppression]] = defaultdict(dict)
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL["suppressions_of"], {"recipients": list(recipients)})
        for row in await cursor.fetchall():
            recipient = row.pop("recipient")
            kind, action = row["type"] and BounceType(row["type"]), Consequence(row["action"])
            found[recipient][row["scope"]] = Suppression(**row | {"type": kind, "action": action})
    return found


async def add_decisions(conn: Connection, rows: Sequence[Row]) -> None:
    """Write decisions; those already written stay as they are."""
    if len(rows) > _MANY:
        written = await _written(conn, rows)
        rows = [row for row in rows if (row["recipient_id"], row["key"]) not in written]
    if rows:
        await conn.execute(SQL["add_decisions"], {"rows": as_json(rows)})


async def _written(conn: Connection, rows: Sequence[Row]) -> set[tuple[int, bytes]]:
    """Return which of *rows* are written: to look is cheaper than to offer them again."""
    ids, keys = [row["recipient_id"] for row in rows], [row["key"] for row in rows]
    cursor = await conn.execute(SQL["decisions_written"], {"ids": ids, "keys": keys}, prepare=False)
    return set(await cursor.fetchall())


async def delete_suppressions(conn: Connection, rows: Sequence[Row]) -> None:
    """Delete the suppressions of *rows* (recipient, scope)."""
    await conn.execute(SQL["delete_suppressions"], {"rows": as_json(rows)})


async def put_suppressions(conn: Connection, rows: Sequence[Row]) -> None:
    """Write suppressions over those of the same recipient and scope."""
    await conn.execute(SQL["put_suppressions"], {"rows": as_json(rows)})


async def ended(conn: Connection, limit: int) -> dict[str, int]:
    """Return up to *limit* recipients, with their ids, of whom a suppression is over."""
    cursor = await conn.execute(SQL["ended"], {"limit": limit})
    return {recipient: number for number, recipient in await cursor.fetchall()}


async def recipients_since(
    conn: Connection, since: datetime | None, after: int, limit: int
) -> dict[int, str]:
    """
    Return up to *limit* recipients, by ids above *after*.

    They are those that something was said about since *since*; None: all.
    """
    args = {"since": since, "after": after, "limit": limit}
    cursor = await conn.execute(SQL["recipients_since"], args)
    return dict(await cursor.fetchall())
