"""Bounces and their evidence, as operators look at them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from mtabounce.store.statements import statements

SQL = statements("bounces")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBounce:
    """A row of bounces, with the name of its campaign."""

    id: int
    recipient: str
    type: str
    reason: str
    fault: str | None
    rule: str
    status: str | None
    reply_code: int | None
    diagnostic_code: str
    remote_mta: str
    original_message_id: str
    queue_id: str
    campaign: str | None
    trust: str
    sources: list[str]
    observations: int
    meta: dict[str, Any]
    first_seen_at: datetime
    last_seen_at: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObservation:
    """A row of observations: one piece of evidence."""

    occurred_at: datetime
    source: str
    parser: str
    trust: str
    outcome: str
    type: str | None
    reason: str
    fault: str | None
    rule: str
    matched: str
    status: str | None
    reply_code: int | None
    final_recipient: str
    original_recipient: str
    action: str | None
    diagnostic_code: str
    remote_mta: str
    reporting_mta: str
    original_message_id: str
    queue_id: str
    campaign: str
    facts: dict[str, Any]
    input_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What an input said about one recipient, in short."""

    bounce_id: int | None
    final_recipient: str
    outcome: str
    type: str | None
    reason: str
    rule: str
    diagnostic_code: str


def list_bounces(
    conn: Connection[Any],
    *,
    recipient: str | None = None,
    domain: str | None = None,
    type: str | None = None,  # noqa: A002 (the column's name)
    reason: str | None = None,
    since: datetime | None = None,
    campaign: str | None = None,
    limit: int = 50,
) -> list[StoredBounce]:
    """Return the latest bounces that fit; None leaves a filter out."""
    args = {
        "recipient": recipient,
        "domain": domain,
        "type": type,
        "reason": reason,
        "since": since,
        "campaign": campaign,
        "limit": limit,
    }
    with conn.cursor(row_factory=class_row(StoredBounce)) as cursor:
        return cursor.execute(SQL["list_bounces"], args).fetchall()


def page_of_bounces(
    conn: Connection[Any], *, before: int | None, limit: int, **filters: object
) -> list[StoredBounce]:
    """
    Return the newest bounces that fit, of those before id *before*.

    *filters* are those of `list_bounces`, all of them; None leaves one out.
    """
    with conn.cursor(row_factory=class_row(StoredBounce)) as cursor:
        args = filters | {"before": before, "limit": limit}
        return cursor.execute(SQL["page_of_bounces"], args).fetchall()


def get_bounce(conn: Connection[Any], number: int) -> StoredBounce | None:
    """Return bounce *number*; None where there is none."""
    with conn.cursor(row_factory=class_row(StoredBounce)) as cursor:
        return cursor.execute(SQL["get_bounce"], {"id": number}).fetchone()


def observations_of(conn: Connection[Any], bounce_id: int) -> list[StoredObservation]:
    """Return the evidence of a bounce, oldest first."""
    with conn.cursor(row_factory=class_row(StoredObservation)) as cursor:
        return cursor.execute(SQL["observations_of"], {"bounce_id": bounce_id}).fetchall()


def observations_of_input(conn: Connection[Any], input_id: int) -> list[Said]:
    """Return what an input said, by recipient."""
    with conn.cursor(row_factory=class_row(Said)) as cursor:
        return cursor.execute(SQL["observations_of_input"], {"input_id": input_id}).fetchall()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecipient:
    """A row of recipients."""

    id: int
    recipient: str
    domain: str
    hard: int
    soft: int
    complaints: int
    last_bounce_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One thing that was said about a recipient."""

    occurred_at: datetime
    source: str
    trust: str
    outcome: str
    type: str | None
    reason: str
    rule: str
    status: str | None
    diagnostic_code: str
    bounce_id: int | None
    input_id: int | None


def get_recipient(conn: Connection[Any], recipient: str) -> StoredRecipient | None:
    """Return *recipient* (normalized); None where nothing was reported about it."""
    with conn.cursor(row_factory=class_row(StoredRecipient)) as cursor:
        return cursor.execute(SQL["get_recipient"], {"recipient": recipient}).fetchone()


def story_of(conn: Connection[Any], recipient_id: int, limit: int) -> list[Episode]:
    """Return the latest *limit* things that were said about a recipient, latest first."""
    args = {"recipient_id": recipient_id, "limit": limit}
    with conn.cursor(row_factory=class_row(Episode)) as cursor:
        return cursor.execute(SQL["story_of"], args).fetchall()
