"""
From judged inputs to rows: observations, bounces, recipients, all in one transaction.

The rows of the recipients are locked first, in order; so whoever records is alone with what is
known of them, and a duplicate cannot slip in between look-up and insert.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from prometheus_client import Counter as Metric
from psycopg import AsyncConnection
from psycopg.errors import DeadlockDetected, SerializationFailure

from mtabounce.correlate import Bounce, KnownRef, Observation, group, merge
from mtabounce.errors import TryAgainLater
from mtabounce.model import BounceType, Report, Trust
from mtabounce.pipeline.return_paths import without_replays
from mtabounce.store import outbox
from mtabounce.store import record as store
from mtabounce.store.rows import plain
from mtabounce.store.text import clean_text

BOUNCES = Metric(
    "mtabounce_bounces_total", "Bounces written for the first time.", ["type", "reason"]
)
OBSERVATIONS = Metric(
    "mtabounce_observations_total", "Observations written.", ["source", "outcome"]
)
DUPLICATES = Metric("mtabounce_duplicates_total", "Observations that were stored before.")
CHANNEL = "mtabounce_bounce"
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_COUNTS = {BounceType.HARD: "hard", BounceType.SOFT: "soft", BounceType.COMPLAINT: "complaints"}
_OWN_COLUMNS = {  # the fields of a report that observations have a column for
    "outcome", "final_recipient", "original_recipient", "action", "status", "reply_code",
    "diagnostic_code", "remote_mta", "reporting_mta", "original_message_id", "queue_id",
    "campaign", "occurred_at", "mark",
}  # fmt: skip
_BOUNCE_FIELDS = [field.name for field in fields(Bounce) if field.name != "passed_on_to"]
_FACTS = [field.name for field in fields(Report) if field.name not in _OWN_COLUMNS]


class AnotherWasFirst(TryAgainLater):
    """Another recorder wrote the same bounce meanwhile: do the transaction again."""


# Another transaction was in the way of one: done again, it is likely to go well.
MET_ANOTHER = (AnotherWasFirst, DeadlockDetected, SerializationFailure)


@dataclass(frozen=True, slots=True)
class Change:
    """A bounce as it shall be stored, what it replaces, and what joined it."""

    bounce: Bounce
    replaced: tuple[Bounce, ...]
    joined: tuple[Observation, ...] = ()

    def recipients(self) -> set[str]:
        """Return whom it concerns: a merged bounce may have been known by another address."""
        return {self.bounce.recipient, *(old.recipient for old in self.replaced)}


def is_uuid(text: str) -> bool:
    """Whether *text* is a UUID, which nobody guesses: listmonk's of subscribers and campaigns."""
    return _UUID.fullmatch(text) is not None


async def record(
    conn: AsyncConnection[Any], observations: Sequence[Observation], ids: dict[str, int]
) -> dict[str, int]:
    """
    Write *observations*, storable, and the bounces they make, inside the transaction of *conn*.

    *ids* are those of their recipients, by name, whose rows are locked; others that are met are
    added. Return the recipients whose bounces changed, by id; their rows are locked. Raises
    AnotherWasFirst where the transaction must be rolled back and done again.
    """
    if not observations:
        return {}
    new = await weighed(conn, await _new_ones(conn, observations, ids), ids)
    changes = await _changes(conn, [one for one in new if one.counts])
    if changes:
        await write_bounces(conn, changes, ids)
    if new:
        numbers = {
            (one.recipient, one.key): change.bounce.id
            for change in changes
            for one in change.joined
        }
        rows = [observation_row(one, ids, numbers) for one in new]
        await store.add_observations(conn, rows)
    _count(observations, new, changes)
    return {name: ids[name] for change in changes for name in change.recipients()}


def storable(one: Observation) -> Observation:
    """Clean what rows are looked up by; all other text is cleaned as it is written."""
    recipient, campaign = clean_text(one.recipient), clean_text(one.report.campaign)
    if (recipient, campaign) == (one.recipient, one.report.campaign):
        return one
    return replace(one, recipient=recipient, report=replace(one.report, campaign=campaign))


async def weighed(
    conn: AsyncConnection[Any], observations: Sequence[Observation], ids: dict[str, int]
) -> list[Observation]:
    """
    Return *observations*, each with the trust that it has in the light of what is stored.

    *ids* are those of their recipients.
    """
    return await without_replays(conn, await _with_backing(conn, observations, ids), ids)


async def _with_backing(
    conn: AsyncConnection[Any], observations: Sequence[Observation], ids: dict[str, int]
) -> list[Observation]:
    """
    Return *observations*; claims that only who had the mail can make are likely to be true.

    That is: they name a Message-ID, or the UUID of a subscriber, that proven evidence on the same
    recipient names, too; and nothing that is known of others names that Message-ID.
    """
    claims = {
        (ids[one.recipient], one.key): {
            "recipient_id": ids[one.recipient],
            "key": one.key,
            "occurred_at": one.occurred_at,
            "message_id": one.report.original_message_id,
            "subscriber": one.report.subscriber if is_uuid(one.report.subscriber) else "",
        }
        for one in observations
        if one.trust is Trust.CLAIMED
        and not one.is_spoilt
        and (one.report.original_message_id or one.report.subscriber)
    }
    likely = await store.backed_claims(conn, list(claims.values())) if claims else set()
    return [
        replace(one, trust=Trust.LIKELY) if (ids[one.recipient], one.key) in likely else one
        for one in observations
    ]


async def _new_ones(
    conn: AsyncConnection[Any], observations: Iterable[Observation], ids: dict[str, int]
) -> list[Observation]:
    unique: dict[tuple[int, bytes], Observation] = {}
    for one in observations:
        unique.setdefault((ids[one.recipient], one.key), one)
    rows = [
        {"recipient_id": number, "key": key, "occurred_at": one.occurred_at}
        for (number, key), one in unique.items()
    ]
    known = await store.known_observations(conn, rows)
    return [one for mark, one in unique.items() if mark not in known]


async def _changes(conn: AsyncConnection[Any], new: Sequence[Observation]) -> list[Change]:
    if not new:
        return []
    refs, groups, stored = await _known(conn, new)
    fresh = iter(await store.new_bounce_ids(conn, sum(not ids for ids, _ in groups)))
    changes = [
        _change([stored[number] for number in ids], joined, 0 if ids else next(fresh))
        for ids, joined in groups
    ]
    await _write_refs(conn, changes, refs)
    return changes


async def _known(
    conn: AsyncConnection[Any], new: Sequence[Observation]
) -> tuple[list[KnownRef], list[tuple[list[int], list[Observation]]], dict[int, Bounce]]:
    """Return the stored refs of *new*, how these group them, and the bounces they lead to."""
    keys = sorted({ref.key for one in new for ref in one.refs})
    while True:
        refs = await store.known_refs(conn, keys)
        groups = group(new, refs)
        wanted = sorted({number for ids, _ in groups for number in ids})
        stored = await store.bounces_by_id(conn, wanted) if wanted else {}
        if len(stored) == len(wanted):
            return refs, groups, stored
        lost = [number for number in wanted if number not in stored]
        if not await store.delete_lost_refs(conn, lost):
            raise AnotherWasFirst("a bounce was merged into another meanwhile")


def _change(stored: Sequence[Bounce], joined: Sequence[Observation], number: int) -> Change:
    """Return what *joined* make of *stored*; *number* is the id where nothing is stored."""
    bounce = merge([*stored, *(Bounce.of(one, number) for one in joined)])
    return Change(bounce, tuple(stored), tuple(joined))


async def _write_refs(
    conn: AsyncConnection[Any], changes: Iterable[Change], known: Iterable[KnownRef]
) -> None:
    rows: dict[bytes, dict[str, Any]] = {}
    for change in changes:
        for one in change.joined:
            for ref in one.refs:
                rows[ref.key] = {
                    "key": ref.key,
                    "kind": ref.kind,
                    "bounce_id": change.bounce.id,
                    "seen_at": one.occurred_at,
                }
    replaced = [ref.key for ref in known if ref.key in rows]
    if not await store.put_refs(conn, list(rows.values()), replaced):
        raise AnotherWasFirst("another recorder was first with this bounce")


async def write_bounces(
    conn: AsyncConnection[Any], changes: Sequence[Change], ids: dict[str, int]
) -> None:
    """Write *changes*, count them, and tell who listens; *ids* are those of the recipients."""
    for change in changes:
        gone = [old.id for old in change.replaced if old.id != change.bounce.id]
        if gone:
            await store.move_into(conn, change.bounce.id, gone)
    ids |= await _ids_of_replaced(conn, changes, ids)
    names = sorted({change.bounce.campaign for change in changes} - {""})
    campaigns = await store.campaign_ids(conn, names) if names else {}
    new = [change.bounce for change in changes]
    old = [bounce for change in changes for bounce in change.replaced]
    rows = [_bounce_row(bounce, ids, campaigns) for bounce in new]
    await store.put_bounces(conn, rows, [bounce.id for bounce in old])
    await store.count_recipients(conn, _counted(new, old, ids))
    await outbox.notify(conn, [(CHANNEL, _note(change)) for change in changes])


async def _ids_of_replaced(
    conn: AsyncConnection[Any], changes: Iterable[Change], ids: dict[str, int]
) -> dict[str, int]:
    """Look up those whom only a stored bounce names: a mail may have been forwarded."""
    names = {name for change in changes for name in change.recipients()} - ids.keys()
    return await store.recipient_ids(conn, names)


async def delete_bounces(
    conn: AsyncConnection[Any], gone: Sequence[Bounce], ids: dict[str, int]
) -> None:
    """Delete *gone*, of which no evidence is left, and count them no more."""
    await store.put_bounces(conn, [], [bounce.id for bounce in gone])
    await store.count_recipients(conn, _counted([], gone, ids))


def _counted(
    new: Iterable[Bounce], old: Iterable[Bounce], ids: dict[str, int]
) -> list[dict[str, Any]]:
    counts: defaultdict[int, Counter[str]] = defaultdict(Counter)
    latest: dict[int, datetime] = {}
    for bounce in old:
        counts[ids[bounce.recipient]][_COUNTS[bounce.type]] -= 1
    for bounce in new:
        number = ids[bounce.recipient]
        counts[number][_COUNTS[bounce.type]] += 1
        latest[number] = max(latest.get(number, bounce.last_seen_at), bounce.last_seen_at)
    return [
        {"recipient_id": number, "last_bounce_at": latest.get(number)}
        | {name: counted[name] for name in _COUNTS.values()}
        for number, counted in counts.items()
    ]


def _note(change: Change) -> str:
    bounce = change.bounce
    note = {"id": bounce.id, "recipient": bounce.recipient, "type": bounce.type}
    return json.dumps(note | {"reason": bounce.reason, "new": not change.replaced})


def _bounce_row(bounce: Bounce, ids: dict[str, int], campaigns: dict[str, int]) -> dict[str, Any]:
    row = {name: getattr(bounce, name) for name in _BOUNCE_FIELDS}
    row["recipient_id"] = ids[bounce.recipient]
    row["campaign_id"] = campaigns.get(row.pop("campaign"))
    return row | {name: plain(row[name]) for name in ("type", "fault", "trust")}


def observation_row(
    one: Observation, ids: dict[str, int], bounces: dict[tuple[str, bytes], int]
) -> dict[str, Any]:
    """Return the row of *one*; *bounces* are the ids of its bounce by recipient and key."""
    report, verdict = one.report, one.verdict
    status = verdict.status or report.status
    return {
        "recipient_id": ids[one.recipient],
        "occurred_at": one.occurred_at,
        "key": one.key,
        "bounce_id": bounces.get((one.recipient, one.key)),
        "input_id": one.input_id,
        "source": one.source,
        "parser": one.parser,
        "trust": plain(one.trust),
        "outcome": plain(report.outcome),
        "type": plain(verdict.type),
        "reason": verdict.reason,
        "fault": plain(verdict.fault),
        "rule": verdict.rule,
        "matched": verdict.matched,
        "status": status and str(status),
        "reply_code": verdict.reply_code or report.reply_code,
        "final_recipient": report.final_recipient,
        "original_recipient": report.original_recipient,
        "action": plain(report.action),
        "diagnostic_code": report.diagnostic_code,
        "remote_mta": report.remote_mta,
        "reporting_mta": report.reporting_mta,
        "original_message_id": report.original_message_id,
        "queue_id": report.queue_id,
        "campaign": report.campaign,
        "facts": _facts(report),
    }


def _facts(report: Report) -> dict[str, str]:
    named = {name: getattr(report, name) for name in _FACTS}
    if report.status:
        named["reported_status"] = report.status
    return {name: _text(value) for name, value in named.items() if value}


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _count(
    given: Sequence[Observation], new: Sequence[Observation], changes: Iterable[Change]
) -> None:
    DUPLICATES.inc(len(given) - len(new))
    for one in new:
        OBSERVATIONS.labels(one.source.partition(":")[0], one.report.outcome).inc()
    for change in changes:
        if not change.replaced:
            BOUNCES.labels(change.bounce.type, change.bounce.reason).inc()
