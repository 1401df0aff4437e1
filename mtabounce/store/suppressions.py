"""Suppressions, as operators look at them and take them back."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from psycopg import AsyncConnection, Connection
from psycopg.rows import class_row

from mtabounce.store.statements import statements

Cause = Literal["hard", "soft", "complaint", "hold", "manual"]  # what suppresses an address
CAUSES: tuple[Cause, ...] = get_args(Cause)
SQL = statements("suppressions")
_AT_ONCE = 10_000  # rows of an export


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppressed:
    """A row of suppressions that holds now; reason is an operator's words where cause is manual."""

    recipient: str
    type: str | None
    reason: str
    cause: str
    scope: str
    action: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSuppression(Suppressed):
    """The same, with the bounce behind it, and why."""

    bounce_id: int | None
    why: str
    settings: str  # that policy decided by; "": an operator did


@dataclass(frozen=True, slots=True, kw_only=True)
class Undoable:
    """A suppression that can be taken back, and what that forgives."""

    recipient: str
    type: str | None
    reason: str
    cause: str
    scope: str
    since: datetime
    until: datetime | None
    bounce_id: int | None
    forgives: list[int]  # bounces
    undoes: list[int]  # decisions: additions by an operator


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDecision:
    """A row of decisions."""

    id: int
    decided_at: datetime
    actor: str
    action: str
    why: str
    scope: str
    type: str | None
    reason: str
    bounces: list[int]
    until: datetime | None
    settings: str  # that a bounce was held against; "": it was not


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which suppressions to take back; None leaves a condition out."""

    recipients: list[str] | None = None
    cause: str | None = None
    rule: str | None = None
    incident: int | None = None
    since: datetime | None = None
    until: datetime | None = None


def list_suppressions(
    conn: Connection[Any],
    *,
    recipient: str | None = None,
    domain: str | None = None,
    cause: str | None = None,
    reason: str | None = None,
    scope: str | None = None,
    since: datetime | None = None,
    ended: bool = False,
    limit: int | None = None,
) -> list[StoredSuppression]:
    """Return suppressions that fit, the latest first; None leaves a filter, or the limit, out."""
    args = {
        "recipient": recipient,
        "domain": domain,
        "cause": cause,
        "reason": reason,
        "scope": scope,
        "since": since,
        "ended": ended,
        "limit": limit,
    }
    with conn.cursor(row_factory=class_row(StoredSuppression)) as cursor:
        return cursor.execute(SQL["list_suppressions"], args).fetchall()


def page_of_suppressions(conn: Connection[Any], **filters: object) -> list[StoredSuppression]:
    """Return suppressions that hold now, by address; all filters of the statement are given."""
    with conn.cursor(row_factory=class_row(StoredSuppression)) as cursor:
        return cursor.execute(SQL["page_of_suppressions"], filters).fetchall()


def check_addresses(conn: Connection[Any], recipients: Sequence[str]) -> list[StoredSuppression]:
    """Return what stands against each of *recipients* now, in their order."""
    with conn.cursor(row_factory=class_row(StoredSuppression)) as cursor:
        args = {"recipients": list(recipients)}
        return cursor.execute(SQL["check_addresses"], args, prepare=False).fetchall()


async def refusal(conn: AsyncConnection[Any], recipient: str) -> str | None:
    """Return what a mail server says when it refuses *recipient*; None where it does not."""
    cursor = await conn.execute(SQL["refusal"], {"recipient": recipient})
    row = await cursor.fetchone()
    return row and str(row[0])


def export_suppressions(conn: Connection[Any], scope: str | None) -> Iterator[Suppressed]:
    """Give all suppressions that hold now, by address; None: of every scope."""
    with (
        conn.transaction(),
        conn.cursor("export", row_factory=class_row(Suppressed)) as cursor,
    ):
        cursor.itersize = _AT_ONCE
        yield from cursor.execute(SQL["export_suppressions"], {"scope": scope})


def undoable(conn: Connection[Any], selection: Selection) -> list[Undoable]:
    """Return the suppressions of *selection*, by address, with what taking them back forgives."""
    with conn.cursor(row_factory=class_row(Undoable)) as cursor:
        return cursor.execute(SQL["undoable"], asdict(selection)).fetchall()


def decisions_on(conn: Connection[Any], recipient_id: int, limit: int) -> list[StoredDecision]:
    """Return the latest *limit* decisions on a recipient, latest first."""
    with conn.cursor(row_factory=class_row(StoredDecision)) as cursor:
        args = {"recipient_id": recipient_id, "limit": limit}
        return cursor.execute(SQL["decisions_on"], args).fetchall()
