"""What the circuit breaker counts, and the incidents that it makes; sql/incidents.sql."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import AsyncConnection, Connection
from psycopg.rows import class_row, scalar_row

from mtabounce.model import Trust
from mtabounce.store.rows import Row, as_json
from mtabounce.store.statements import statements

SQL = statements("incidents")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """A bounce that the breaker looks at."""

    bounce_id: int
    recipient_id: int
    recipient: str
    type: str
    fault: str | None
    reason: str
    rule: str
    remote_mta: str
    diagnostic_code: str
    first_seen_at: datetime
    mail_from: str  # as the mail, or the log, has it


@dataclass(frozen=True, slots=True)
class Span:
    """Bounces of one operator and reason, or of a sender, after *since* and until *until*."""

    operator: str  # "": of a sender
    sender: str  # its domain; "": of an operator
    reason: str  # of a sender: the kind of incident
    since: datetime
    until: datetime
    at_least: int  # recipients that make a crowd

    def args(self) -> dict[str, Any]:
        """Return them as the statements name them."""
        names = ("operator", "sender", "reason", "since", "until", "at_least")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """A row of incidents, with how many recipients it concerns."""

    id: int
    kind: str
    operator: str
    sender: str
    reason: str
    state: str
    said: str
    rule: str
    began_at: datetime
    last_at: datetime
    closed_at: datetime | None
    closed_by: str
    why: str
    recipients: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A bounce of an incident."""

    recipient: str
    bounce_id: int
    first_seen_at: datetime
    diagnostic_code: str


async def bounces_to_count(
    conn: AsyncConnection[Any], ids: Sequence[int], trusts: Iterable[Trust], since: datetime
) -> list[Counted]:
    """
    Return the bounces of recipients *ids* that are to be counted and were not, of any of *trusts*.

    Those before *since* are among them only where this transaction made them.
    """
    args = {"ids": list(ids), "trusts": list(trusts), "since": since}
    async with conn.cursor(row_factory=class_row(Counted)) as cursor:
        await cursor.execute(SQL["bounces_to_count"], args)
        return await cursor.fetchall()


async def look(conn: AsyncConnection[Any]) -> None:
    """Let nobody say what an incident was until the transaction ends; others may look, too."""
    await conn.execute(SQL["look"])


async def count(conn: AsyncConnection[Any], rows: Sequence[Row], window: timedelta) -> None:
    """
    Count the bounces of *rows*, each in its groups.

    Those of groups with an open incident belong to it; what is within *window* before it does, too.
    """
    given = as_json(rows)
    await conn.execute(SQL["add_counts"], {"rows": given})
    await conn.execute(SQL["hold_new"], {"rows": given, "window": window})


async def crowds(conn: AsyncConnection[Any], spans: Sequence[Span]) -> dict[int, int]:
    """
    Return how many recipients bounced in each of *spans*, by its place, where they are a crowd.

    Those are left out of which an operator said within the last day that such bounces are true.
    """
    rows = [{"number": number} | span.args() for number, span in enumerate(spans)]
    cursor = await conn.execute(SQL["crowds"], {"rows": as_json(rows)})
    return dict(await cursor.fetchall())


async def hours(conn: AsyncConnection[Any], span: Span) -> list[int]:
    """Return how many bounced in each hour of *span* that had any, without incidents."""
    cursor = await conn.execute(SQL["hours"], span.args())
    return [count for (count,) in await cursor.fetchall()]


async def delivered(
    conn: AsyncConnection[Any], since: datetime, until: datetime
) -> list[tuple[str, str, str, int]]:
    """
    Return what logs say was delivered in the hours *since* to *until*.

    That is the domain, the host, the domain of the sender, and how many.
    """
    cursor = await conn.execute(SQL["delivered"], {"since": since, "until": until})
    return await cursor.fetchall()


async def hold(conn: AsyncConnection[Any], span: Span, kind: str, example: Counted) -> int | None:
    """
    Put the bounces of *span* into the open incident of their group, or a new one.

    Return the number of a new one; None where there was one.
    """
    about = {"kind": kind, "said": example.diagnostic_code[:1000], "rule": example.rule}
    new = None
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(SQL["open_incident"], span.args())
        number = await cursor.fetchone()
        if number is None:
            await cursor.execute(SQL["begin_incident"], span.args() | about)
            number = new = await cursor.fetchone()
        if number is None:
            await cursor.execute(SQL["open_incident"], span.args())
            number = await cursor.fetchone()
    await conn.execute(SQL["hold"], span.args() | {"incident": number, "settled": kind != "jump"})
    return new


async def count_open(conn: AsyncConnection[Any]) -> int:
    """Return how many incidents nobody has confirmed or reverted."""
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(SQL["count_open"])
        return int(await cursor.fetchone() or 0)


async def hold_stragglers(conn: AsyncConnection[Any]) -> None:
    """Put bounces into open incidents that were committed while these began, and note the times."""
    async with conn.transaction():
        await look(conn)
        await conn.execute(SQL["stretch"])
        await conn.execute(SQL["hold_stragglers"])


async def unsettled(conn: AsyncConnection[Any], limit: int) -> dict[str, int]:
    """Return up to *limit* recipients of incidents, by id, that policy is to look at again."""
    cursor = await conn.execute(SQL["unsettled"], {"limit": limit})
    return {recipient: number for number, recipient in await cursor.fetchall()}


async def settle(conn: AsyncConnection[Any], ids: Sequence[int]) -> None:
    """Note that policy has looked at recipients *ids* again."""
    await conn.execute(SQL["settle"], {"ids": list(ids)})


async def close_incident(
    conn: AsyncConnection[Any], number: int, state: str, who: str, why: str
) -> bool:
    """Say what incident *number* was, confirmed or reverted; return whether that is new."""
    await conn.execute(SQL["be_alone"])
    args = {"id": number, "state": state, "who": who, "why": why}
    return (await conn.execute(SQL["close_incident"], args)).rowcount > 0


async def forget_counts(conn: AsyncConnection[Any], before: datetime) -> None:
    """Delete what was noted of bounces before *before*."""
    await conn.execute(SQL["forget_counts"], {"before": before})


def list_incidents(
    conn: Connection[Any], *, number: int | None = None, state: str | None = None
) -> list[Incident]:
    """Return incidents, the latest first; None leaves a filter out."""
    with conn.cursor(row_factory=class_row(Incident)) as cursor:
        return cursor.execute(SQL["list_incidents"], {"id": number, "state": state}).fetchall()


def bounces_of_incident(conn: Connection[Any], number: int, limit: int) -> list[Held]:
    """Return the first *limit* bounces of incident *number*."""
    with conn.cursor(row_factory=class_row(Held)) as cursor:
        args = {"id": number, "limit": limit}
        return cursor.execute(SQL["bounces_of_incident"], args).fetchall()
