"""
From a stretch of a log to rows: bounces, who waits, statistics, and how far it was read.

All of it is one transaction, so that a stretch is in the database whole or not at all; and the
position moves only from where it was read, so that two readers cannot both write it.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prometheus_client import Counter
from psycopg import AsyncConnection

from mtabounce.address import recipient_key
from mtabounce.classify import Classifier
from mtabounce.correlate import Observation, observe_delivery
from mtabounce.errors import TryAgainLater
from mtabounce.logs import Delivery, Joined, Key, State, parts_of, report_of
from mtabounce.model import BounceType, Fault, Report, Trust, Verdict
from mtabounce.pipeline import sent_mail
from mtabounce.pipeline.decide import Recorder
from mtabounce.pipeline.forgetting import waiting_without_erased
from mtabounce.store import logs as store
from mtabounce.store.logs import LogFile

OWN_REPORTS = Counter(
    "mtabounce_log_failed_reports_total",
    "Failures, in logs, of messages that were bounces themselves: they count against nobody.",
)
UNKNOWN_SENDERS = Counter(
    "mtabounce_log_unknown_senders_total",
    "Failures, in logs, of messages whose sender the log does not say: only claims.",
)
UNKNOWN_EXPIRIES = Counter(
    "mtabounce_log_unknown_expiries_total",
    "Messages that expired in a log of which no recipient was known.",
)

_UNJUDGED = Verdict(
    type=BounceType.SOFT, reason="undetermined", fault=Fault.UNKNOWN, rule="undetermined"
)
log = logging.getLogger(__name__)


class AnotherReader(TryAgainLater):
    """Another process has read on in this file: begin again from where it is."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far one file is to be moved: from *old* to *new*."""

    old: LogFile
    new: LogFile
    keeps_state: bool = False


class LogRecorder:
    """Writes what came of a log named *source*; *host* is that of lines that name none."""

    def __init__(
        self,
        classifier: Classifier,
        recorder: Recorder,
        source: str,
        host: str,
        *,
        keeps_sent: bool = False,
    ) -> None:
        self.classifier = classifier
        self.keeps_sent = keeps_sent  # whether it is kept to whom mails went
        self.failures = 0  # committed so far
        self._recorder = recorder
        self._source = source
        self._host = host

    async def waiting(self, conn: AsyncConnection[Any], asked: Iterable[Key]) -> list[Delivery]:
        """Return who waits in the messages *asked* for."""
        keys = set(asked)
        if not keys:
            return []
        hosts, _, queue_ids = zip(*map(parts_of, keys), strict=True)
        names = sorted({_text(host) or self._host for host in hosts})
        return await store.waiting(conn, names, sorted(set(map(_text, queue_ids))))

    async def commit(
        self, conn: AsyncConnection[Any], joined: Joined, steps: Sequence[Step]
    ) -> None:
        """
        Write *joined* and move each file by its step, in one transaction.

        Raises AnotherReader where a file is not where its step begins, AnotherWasFirst where the
        transaction must be done again.
        """
        observations = list(self._observations(joined.deliveries))
        async with conn.transaction():
            for step in steps:
                if not await store.move(conn, step.old, step.new):
                    raise AnotherReader(f"{step.new.path}: another process reads it too")
                if step.keeps_state:
                    await store.keep_state(conn, step.new)
            if joined.counts:  # first: the circuit breaker asks what was delivered
                await store.count_deliveries(conn, joined.counts)
            arrived = await _arrived(conn, joined, observations)
            await self._recorder.record(conn, observations, arrived)
            if joined.sent:
                await sent_mail.keep(conn, joined)
            if joined.settled:
                await store.settle(conn, joined.settled)
            waits = [one for one in joined.waiting.values() if _is_address(one)]
            if waiting := await waiting_without_erased(conn, waits):
                await store.put_waiting(conn, waiting)
        self.failures += len(observations)
        OWN_REPORTS.inc(sum(one.reports_itself for one in joined.deliveries))
        UNKNOWN_EXPIRIES.inc(joined.unknown_expiries)
        UNKNOWN_SENDERS.inc(sum(one.trust is Trust.CLAIMED for one in observations))

    def _observations(self, deliveries: Iterable[Delivery]) -> Iterator[Observation]:
        for one in deliveries:
            if one.state is State.DEFERRED or one.reports_itself:
                continue
            report = report_of(one)
            yield observe_delivery(
                report,
                self._judge(report),
                source=f"log:{self._source}",
                parser="log",
                trust=_trust(one),
            )

    def _judge(self, report: Report) -> Verdict:
        try:
            return self.classifier.classify(report)
        except Exception:  # the failure is a fact, also where we make a mistake about its reason
            log.exception("not judged, please report it: %r", report.diagnostic_code[:2000])
            return _UNJUDGED


def _trust(delivery: Delivery) -> Trust:
    """Where a log begins in the middle of a message, that may be a bounce: nobody's failure."""
    return Trust.CLAIMED if delivery.reverse_path is None else Trust.PROVEN


async def _arrived(
    conn: AsyncConnection[Any], joined: Joined, observations: Iterable[Observation]
) -> dict[str, datetime]:
    """
    Return when mail last arrived at those of whom anything is known, or *observations* tell.

    Millions arrive and little is known of most: so the database is given names alone, and the
    time is read for those few.
    """
    if not joined.arrived:
        return {}
    told = [*joined.arrived, *(name for name, _ in joined.arrived_before)]
    stamps = [*joined.arrived.values(), *(stamp for _, stamp in joined.arrived_before)]
    names = _keys(b"\n".join(told).decode("utf-8", "replace"))
    known = await store.known_among(conn, names) | {one.recipient for one in observations}
    times: dict[str, datetime] = {}
    for name, stamp in zip(names.split("\n"), stamps, strict=True):
        if name in known:
            at = joined.clock(stamp)
            times[name] = max(at, times.get(name, at))
    return times


def _is_address(delivery: Delivery) -> bool:
    """Tell whether the recipients can be a key; RFC 5321 §4.5.3.1 allows 320 octets."""
    names = (delivery.final_recipient, delivery.original_recipient)
    return all(len(one.encode(errors="replace")) <= 320 for one in names)


def _keys(names: str) -> str:
    """Return *names*, one a line, as recipients are stored."""
    if names.isascii() and '"' not in names:
        return names.lower()
    return "\n".join(map(recipient_key, names.split("\n")))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
