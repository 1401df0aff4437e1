"""The circuit breaker at work: in the transaction that records, before policy decides."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from prometheus_client import Counter as Metric
from psycopg import AsyncConnection

from mtabounce.classify.operators import Operators
from mtabounce.correlate import domain_of
from mtabounce.model import BounceType, Fault
from mtabounce.policy import BreakerSettings, IncidentKind, Seen, is_jump, kind_of
from mtabounce.store import incidents as store
from mtabounce.store.incidents import Counted, Span

INCIDENTS = Metric("mtabounce_incidents_total", "Incidents that began, by kind.", ["kind"])
_STEP = timedelta(minutes=10)  # bounces of one transaction that are looked at together
_SAID = {
    IncidentKind.JUMP: "hard bounces (%s) at %s jump: they suppress nobody until you say"
    " `mtabounce incidents confirm` or `revert`",
    IncidentKind.BLOCKED: "you are blocked (%s) at %s: see `mtabounce incidents list`",
}
log = logging.getLogger(__name__)


class Breaker:
    """Counts bounces by who said them and why, and holds those that jump."""

    def __init__(self, settings: BreakerSettings, operators: Operators) -> None:
        self._settings = settings
        self._operators = operators

    async def watch(self, conn: AsyncConnection[Any], recipients: Mapping[str, int]) -> None:
        """Count the bounces that this transaction made for *recipients*; hold those that jump."""
        if not recipients or not self._settings.enabled:
            return
        counted = [
            one
            for one in await store.bounces_to_count(conn, list(recipients.values()))
            if _kind(one)
        ]
        if not counted:
            return
        await store.add_counts(conn, [self._row(one) for one in counted])
        spans = list(self._spans(counted))
        crowds = await store.crowds(conn, [span for span, _ in spans], self._settings.at_least)
        sent: dict[tuple[datetime, datetime], Counter[str]] = {}
        for number, recent in sorted(crowds.items()):
            span, example = spans[number]
            if await self._is_jump(conn, span, recent, sent):
                await self._hold(conn, span, example)

    async def _hold(self, conn: AsyncConnection[Any], span: Span, example: Counted) -> None:
        kind = _kind(example) or IncidentKind.JUMP
        if await store.hold(conn, span, kind, example):
            INCIDENTS.labels(kind).inc()
            log.warning(_SAID[kind], span.reason, span.operator)

    def _spans(self, counted: Iterable[Counted]) -> Iterable[tuple[Span, Counted]]:
        """Give the window up to the last bounce of each group, step by step."""
        last: dict[tuple[str, str, float], Counted] = {}
        for one in counted:
            step = one.first_seen_at.timestamp() // _STEP.total_seconds()
            last[self.operator_of(one), one.reason, step] = one
        for (operator, reason, _), one in last.items():
            since = one.first_seen_at - self._settings.window
            yield Span(operator, reason, since, one.first_seen_at), one

    async def _is_jump(
        self,
        conn: AsyncConnection[Any],
        span: Span,
        recent: int,
        sent: dict[tuple[datetime, datetime], Counter[str]],
    ) -> bool:
        """Tell whether *span* is unusual; *sent* keeps what was asked of the same hours."""
        before = replace(span, since=span.since - self._settings.history, until=span.since)
        seen = Seen(recent, await store.hours(conn, before), delivered=0)
        if not is_jump(seen, self._settings):
            return False
        hours = (_hour(span.since), _hour(span.until))
        if hours not in sent:
            sent[hours] = await self._sent(conn, *hours)
        return is_jump(replace(seen, delivered=sent[hours][span.operator]), self._settings)

    async def _sent(
        self, conn: AsyncConnection[Any], since: datetime, until: datetime
    ) -> Counter[str]:
        """Return what was delivered in the full hours from *since* to *until*, by operator."""
        found = Counter[str]()
        for domain, relay, sent in await store.delivered(conn, since, until):
            for name in self._names(relay, domain):
                found[name] += sent
        return found

    def operator_of(self, one: Counted) -> str:
        """Return who said it: the operator of the host, or of the domain, or the domain itself."""
        domain = domain_of(one.recipient)
        return self._operators.of(one.remote_mta) or self._operators.of(domain) or domain

    def _names(self, relay: str, domain: str) -> set[str]:
        return {self._operators.of(relay) or self._operators.of(domain) or domain, domain}

    def _row(self, one: Counted) -> dict[str, Any]:
        names = ("reason", "bounce_id", "recipient_id", "recipient")
        row = {name: getattr(one, name) for name in names}
        return row | {"operator": self.operator_of(one), "occurred_at": one.first_seen_at}


def _kind(one: Counted) -> IncidentKind | None:
    return kind_of(BounceType(one.type), (one.fault and Fault(one.fault)) or None)


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)
