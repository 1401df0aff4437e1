"""The circuit breaker at work: in the transaction that records, before policy decides."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from prometheus_client import Counter as Metric
from psycopg import AsyncConnection

from mtabounce.address import sender_domain
from mtabounce.classify.operators import Operators
from mtabounce.correlate import domain_of
from mtabounce.model import BounceType, Fault
from mtabounce.policy import (
    IncidentKind,
    PolicySettings,
    Seen,
    blocked_by,
    is_jump,
    kind_of,
)
from mtabounce.store import incidents as store
from mtabounce.store import outbox
from mtabounce.store.incidents import Counted, Incident, Span

INCIDENTS = Metric("mtabounce_incidents_total", "Incidents that began, by kind.", ["kind"])
_CACHED = 4096  # hosts, of which one need not look up twice whose they are
_STEP = timedelta(minutes=10)  # bounces of one transaction that are looked at together
log = logging.getLogger(__name__)
_Sent = dict[tuple[datetime, datetime], Counter[str]]  # first and last hour → who got how much


class _Group(NamedTuple):
    """What bounces are counted together."""

    operator: str  # "": of a sender
    sender: str  # "": of an operator; both "": not counted
    reason: str


class Breaker:
    """Counts bounces by who said them and why, and holds those that jump."""

    def __init__(self, policy: PolicySettings, operators: Operators) -> None:
        self._settings = policy.breaker
        self._trusts = policy.trusts()  # what nobody is suppressed by, nobody is held for
        self._operator = lru_cache(_CACHED)(operators.of)

    async def watch(self, conn: AsyncConnection[Any], recipients: Mapping[str, int]) -> None:
        """Count the bounces of *recipients* that were not counted yet; hold those that jump."""
        if not recipients or not self._settings.enabled:
            return
        since = datetime.now(UTC) - self._settings.history
        ids = list(recipients.values())
        found = await store.bounces_to_count(conn, ids, self._trusts, since)
        counted = [one for one in found if _kind(one)]
        if not counted:
            return
        grouped = [
            [(one, group(one)) for one in counted] for group in (self._of_operator, self._of_sender)
        ]
        rows = [row for bounces in grouped for row in _rows(bounces)]
        await store.look(conn)
        await store.count(conn, rows, self._settings.window)
        sent: _Sent = {}
        for bounces in grouped:
            await self._judge(conn, list(self._spans(bounces)), sent)

    async def _judge(
        self, conn: AsyncConnection[Any], spans: Sequence[tuple[Span, Counted]], sent: _Sent
    ) -> None:
        crowds = await store.crowds(conn, [span for span, _ in spans]) if spans else {}
        for number, recent in sorted(crowds.items()):
            span, example = spans[number]
            if await self._is_jump(conn, span, recent, sent):
                await self._hold(conn, span, example, recent)

    async def _hold(
        self, conn: AsyncConnection[Any], span: Span, example: Counted, recent: int
    ) -> None:
        kind = _kind(example) or IncidentKind.JUMP
        number = await store.hold(conn, span, kind, example)
        if number is not None:
            INCIDENTS.labels(kind).inc()
            what = in_words(kind, span.operator, span.sender, span.reason, example.diagnostic_code)
            log.warning("%s, %d recipients: see `mtabounce incidents list`", what, recent)
            about = {
                "id": number,
                "state": "open",
                "kind": kind,
                "what": what,
                "operator": span.operator,
                "sender": span.sender,
                "reason": span.reason,
                "recipients": recent,
                "said": example.diagnostic_code,
            }
            await _tell(conn, about)

    def _spans(self, grouped: Iterable[tuple[Counted, _Group]]) -> Iterable[tuple[Span, Counted]]:
        """Give the window up to the last bounce of each group, step by step."""
        last: dict[tuple[_Group, float], Counted] = {}
        for one, group in grouped:
            step = one.first_seen_at.timestamp() // _STEP.total_seconds()
            last[group, step] = one
        for (of, _), one in last.items():
            since = one.first_seen_at - self._settings.window
            if of.operator or of.sender:
                yield Span(*of, since, one.first_seen_at, self._at_least(of)), one

    def _at_least(self, group: _Group) -> int:
        is_held = group.reason == IncidentKind.JUMP and group.sender
        return self._settings.at_least_of_sender if is_held else self._settings.at_least

    async def _is_jump(
        self,
        conn: AsyncConnection[Any],
        span: Span,
        recent: int,
        sent: _Sent,
    ) -> bool:
        """Tell whether *span* is unusual; *sent* keeps what was asked of the same hours."""
        hours = (_hour(span.since), _hour(span.until))
        if hours not in sent:
            sent[hours] = await self._sent(conn, *hours)
        seen = Seen(recent, hours=(), delivered=sent[hours][span.operator or f"@{span.sender}"])
        if not is_jump(seen, self._settings):  # whatever is usual: that is asked for each span
            return False
        before = replace(span, since=span.since - self._settings.history, until=span.since)
        return is_jump(replace(seen, hours=await store.hours(conn, before)), self._settings)

    async def _sent(
        self, conn: AsyncConnection[Any], since: datetime, until: datetime
    ) -> Counter[str]:
        """
        Return what was delivered in the full hours from *since* to *until*.

        It is counted by the operator, and by the sender, after an "@".
        """
        found = Counter[str]()
        for domain, relay, sender, sent in await store.delivered(conn, since, until):
            for name in self._names(relay, domain) | {f"@{sender}"}:
                found[name] += sent
        return found

    def operator_of(self, one: Counted) -> str:
        """Return who said it: the operator of the host, or of the domain, or the domain itself."""
        domain = domain_of(one.recipient)
        return self._operator(one.remote_mta) or self._operator(domain) or domain

    def _names(self, relay: str, domain: str) -> set[str]:
        return {self._operator(relay) or self._operator(domain) or domain, domain}

    def _of_operator(self, one: Counted) -> _Group:
        return _Group(self.operator_of(one), "", one.reason)

    def _of_sender(self, one: Counted) -> _Group:
        return _Group("", sender_domain(one.mail_from), str(_kind(one) or IncidentKind.JUMP))


def _rows(grouped: Iterable[tuple[Counted, _Group]]) -> Iterable[dict[str, Any]]:
    names = ("bounce_id", "recipient_id", "recipient")
    for one, group in grouped:
        if group.operator or group.sender:
            row = {name: getattr(one, name) for name in names} | {"occurred_at": one.first_seen_at}
            yield row | group._asdict()


async def close(
    conn: AsyncConnection[Any], incident: Incident, state: str, who: str, why: str
) -> None:
    """Say what *incident* was, confirmed or reverted, and tell others."""
    async with conn.transaction():
        if await store.close_incident(conn, incident.id, state, who, why):
            names = ("id", "kind", "operator", "sender", "reason", "recipients", "said")
            about = {name: getattr(incident, name) for name in names}
            said = {"state": state, "closed_by": who, "why": why[:1000]}
            await _tell(conn, about | said | {"what": incident_in_words(incident)})


async def _tell(conn: AsyncConnection[Any], about: Mapping[str, Any]) -> None:
    payload = {**about, "said": about["said"][:1000]}
    await outbox.add_events(conn, [{"event": "incident", "recipient": "", "payload": payload}])


def incident_in_words(one: Incident) -> str:
    """Return what an incident is about."""
    return in_words(one.kind, one.operator, one.sender, one.reason, one.said)


def in_words(kind: str, operator: str, sender: str, reason: str, said: str) -> str:
    """Return what an incident is about."""
    if kind == IncidentKind.BLOCKED:
        by = blocked_by(said)
        who, where = (f"mail from {sender} is", "") if sender else ("you are", f" at {operator}")
        why = " at many operators" if sender else f" ({reason})"
        return f"{who} blocked{where}{f' by {by}' if by else ''}{why}"
    if sender:
        return f"hard bounces of mail from {sender} jump"
    return f"hard bounces ({reason}) at {operator} jump"


def _kind(one: Counted) -> IncidentKind | None:
    return kind_of(BounceType(one.type), (one.fault and Fault(one.fault)) or None)


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)
