"""
Asks policy about addresses that something happened to, and writes what it decides.

It runs in the transaction that recorded the event, while the rows of the recipients are locked:
a bounce and its consequence are there together, or neither is.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from prometheus_client import Counter
from psycopg import AsyncConnection

from mtabounce.classify import load_operators
from mtabounce.correlate import Observation, domain_of
from mtabounce.model import WEBHOOK, Outcome, Trust
from mtabounce.pipeline.breaking import Breaker
from mtabounce.pipeline.forgetting import without_erased
from mtabounce.pipeline.record import record, storable
from mtabounce.policy import Decision, PolicySettings, Standing, Suppression, judge
from mtabounce.store import logs, outbox
from mtabounce.store import policy as store
from mtabounce.store.record import recipient_ids
from mtabounce.store.rows import plain

SUPPRESSED = Counter("mtabounce_suppressions_total", "Suppressions begun, by cause.", ["cause"])
LIFTED = Counter("mtabounce_suppressions_lifted_total", "Suppressions that ended.")
ACTOR = "policy"
_NOTHING: Mapping[str, datetime] = MappingProxyType({})
_NO_LONGER = "what it rested on does not count any more"


class Recorder:
    """Records observations, and lets policy decide on those whom they concern."""

    def __init__(self, policy: PolicySettings, rules: Path | None = None) -> None:
        """*rules* is the user's folder of rules, which may know operators."""
        self.policy = policy
        self._breaker = Breaker(policy, load_operators(rules))

    async def record(
        self,
        conn: AsyncConnection[Any],
        observations: Sequence[Observation],
        arrived: Mapping[str, datetime] = _NOTHING,
    ) -> None:
        """
        Write *observations*, bounces and decisions, inside the transaction of *conn*.

        *arrived* is when mail last arrived, by recipient, as a log tells. Raises AnotherWasFirst
        where the transaction must be rolled back and done again.
        """
        observations = [storable(one) for one in await without_erased(conn, observations)]
        named = [one.recipient for one in observations]
        ids = await recipient_ids(conn, named, known=arrived)
        touched = await record(conn, observations, ids)
        if touched:
            await outbox.add_bounces(conn, list(touched.values()))
        delivered = _delivered(observations)
        times = {ids[name]: at for name, at in {**arrived, **delivered}.items() if name in ids}
        again = {ids[name] for name in delivered}
        told = await logs.put_delivered(conn, times, again) if times else {}
        await self.decide(conn, touched | told)

    async def decide(self, conn: AsyncConnection[Any], recipients: Mapping[str, int]) -> None:
        """Decide on *recipients* (recipient → id, rows locked): something is known of them."""
        await self._breaker.watch(conn, recipients)
        await decide(conn, self.policy, recipients)


def _delivered(observations: Sequence[Observation]) -> dict[str, datetime]:
    """Return when an ESP last delivered mail to recipients."""
    times: dict[str, datetime] = {}
    for one in filter(_is_delivery, observations):
        times[one.recipient] = max(one.occurred_at, times.get(one.recipient, one.occurred_at))
    return times


def _is_delivery(one: Observation) -> bool:
    is_proven = one.report.outcome is Outcome.DELIVERED and one.trust is Trust.PROVEN
    return is_proven and one.source.startswith(WEBHOOK)


async def decide(
    conn: AsyncConnection[Any], settings: PolicySettings, recipients: Mapping[str, int]
) -> None:
    """
    Write where each of *recipients* (recipient → id, rows locked) stands now.

    The clock is that of PostgreSQL, by which facts are dated, too: what is known has happened.
    """
    if not recipients:
        return
    now = await store.clock(conn)
    histories = await store.histories(conn, list(recipients.values()), settings.trusts())
    stored = await store.suppressions_of(conn, list(recipients))
    decisions, begun, over = [], [], []
    for recipient, number in recipients.items():
        policy = settings.policy_for(domain_of(recipient))
        standing = judge(histories.get(number, []), policy, now)
        who = {"recipient": recipient, "recipient_id": number}
        before, after = stored.get(recipient, {}), standing.suppressions
        decisions += [
            _decision_row(who, one)
            for one in (*standing.decisions, *_unsaid(before, standing, now))
        ]
        begun += [_suppression_row(who, one) for s, one in after.items() if before.get(s) != one]
        over += [
            {"recipient": recipient, "scope": scope, "still": sorted(after)}
            for scope in before.keys() - after.keys()
        ]
        _count(before, after)
    if decisions:
        await store.add_decisions(conn, decisions)
    if over:
        await store.delete_suppressions(conn, over)
    if begun:
        await store.put_suppressions(conn, begun)
    if begun or over:
        await outbox.add_events(conn, _events(begun, over))


def _unsaid(
    before: Mapping[str, Suppression], standing: Standing, now: datetime
) -> Iterator[Decision]:
    """Give the end of what was decided *before* on evidence that counts no longer."""
    for scope in sorted(before.keys() - standing.suppressions.keys()):
        ends = (one for one in standing.decisions if one.action == "lift" and one.scope == scope)
        if not any(one.at >= before[scope].since for one in ends):
            yield Decision(at=now, action="lift", why=_NO_LONGER, scope=scope)


def _events(
    begun: Sequence[Mapping[str, Any]], over: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return what others are told of suppressions that began, and that are over."""
    names = ("type", "reason", "cause", "scope", "action", "bounce_id")
    events = [
        {
            "event": "suppressed",
            "recipient": row["recipient"],
            "payload": {name: row[name] for name in names}
            | {name: row[name] and row[name].isoformat() for name in ("since", "until")},
        }
        for row in begun
    ]
    lifted = [
        {
            "event": "lifted",
            "recipient": row["recipient"],
            "payload": {"scope": row["scope"], "still": row["still"]},
        }
        for row in over
    ]
    return lifted + events


def _decision_row(who: dict[str, Any], decision: Decision) -> dict[str, Any]:
    event = decision.event
    row = who | {
        "actor": ACTOR,
        "action": decision.action,
        "why": decision.why,
        "settings": decision.settings,
        "scope": decision.scope,
        "type": plain(event.type) if event else None,
        "reason": event.reason if event else "",
        "bounces": decision.bounces or ([event.id] if event and event.type else []),
        "until": None,
        "decided_at": decision.at,
    }
    return row | {"key": decision_key(row)}


def decision_key(row: Mapping[str, Any]) -> bytes:
    """Return what tells a decision from another on the same address."""
    names = ("action", "why", "scope", "bounces", "decided_at")
    told = "\0".join(str(row[name]) for name in names)
    return hashlib.sha256(told.encode()).digest()[:16]


def _suppression_row(who: dict[str, Any], one: Suppression) -> dict[str, Any]:
    return who | {
        "type": plain(one.type),
        "reason": one.reason,
        "cause": one.cause,
        "scope": one.scope,
        "action": plain(one.action),
        "since": one.since,
        "until": one.until,
        "bounce_id": one.bounce_id,
    }


def _count(before: Mapping[str, Suppression], after: Mapping[str, Suppression]) -> None:
    for scope in after.keys() - before.keys():
        SUPPRESSED.labels(after[scope].cause).inc()
    LIFTED.inc(len(before.keys() - after.keys()))
