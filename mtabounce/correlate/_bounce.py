"""What the observations of one failure add up to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self

from mtabounce.correlate._observation import Observation
from mtabounce.correlate._whom import passed_on_to
from mtabounce.model import GRAVITY, TRUST_RANK, BounceType, Fault, Report, Trust

META = {  # what a bounce keeps beside its columns, and the field of a report that says it
    "from": "original_from",
    "subject": "original_subject",
    "subscriber": "subscriber",
    "list_id": "list_id",
    "feedback_id": "feedback_id",
    "feedback_type": "feedback_type",
    "native_code": "native_code",
    "source": "source",
    "meta": "meta",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounce:
    """One message that failed for one recipient: what its observations add up to."""

    id: int = 0  # 0: not stored yet
    recipient: str
    type: BounceType
    reason: str
    fault: Fault | None
    rule: str
    status: str | None
    reply_code: int | None
    diagnostic_code: str
    remote_mta: str
    original_message_id: str
    queue_id: str
    campaign: str
    trust: Trust
    sources: tuple[str, ...]  # sorted
    observations: int = 1
    decisive: bytes  # key of the observation whose facts these are
    decisive_at: datetime
    meta: dict[str, str] = field(default_factory=dict)
    first_seen_at: datetime
    last_seen_at: datetime
    created_at: datetime | None = None  # None: not stored yet
    passed_on_to: frozenset[str] = frozenset()  # names that its mail had later on; not stored

    @classmethod
    def of(cls, observation: Observation, number: int = 0) -> Self:
        """
        Return the bounce that *observation* alone makes; *number* is to be its id.

        Raises ValueError where it is none.
        """
        report, verdict = observation.report, observation.verdict
        if verdict.type is None:
            raise ValueError(f"{report.outcome} is no bounce")
        return cls(
            id=number,
            recipient=observation.recipient,
            type=verdict.type,
            reason=verdict.reason,
            fault=verdict.fault,
            rule=verdict.rule,
            status=None if verdict.status is None else str(verdict.status),
            reply_code=verdict.reply_code,
            diagnostic_code=report.diagnostic_code,
            remote_mta=report.remote_mta,
            original_message_id=report.original_message_id,
            queue_id=report.queue_id,
            campaign=report.campaign,
            trust=observation.trust,
            sources=(observation.source,),
            decisive=observation.key,
            decisive_at=observation.occurred_at,
            meta=_meta(report),
            first_seen_at=observation.occurred_at,
            last_seen_at=observation.occurred_at,
            passed_on_to=passed_on_to(report, observation.recipient),
        )

    @property
    def weight(self) -> tuple[int, int, bool, float, bytes]:
        """What orders observations of one failure: the greatest one decides the facts."""
        return (
            TRUST_RANK[self.trust],
            GRAVITY[self.type],
            self.reason != "undetermined",
            -self.decisive_at.timestamp(),
            self.decisive,
        )


def merge(parts: Iterable[Bounce]) -> Bounce:
    """
    Return the one bounce that *parts* are, whatever their order; at least one must be given.

    The facts are those of the best observation (trust first, then complaint over hard over
    soft); what it does not know is taken from the next best, but of claims only where there is
    nothing else. When it was is said by evidence of the best trust alone, and so is since when
    that is known: created_at. The lowest stored id stays, and its recipient, unless another one
    was mailed before.
    """
    given = list(parts)
    if len(given) == 1:
        return given[0]
    ranked = sorted(given, key=lambda part: part.weight, reverse=True)
    best = ranked[0]
    equals = [part for part in ranked if part.trust is best.trust]
    good = [part for part in ranked if part.trust is not Trust.CLAIMED] or ranked
    return replace(
        best,
        id=min((part.id for part in ranked if part.id), default=0),
        recipient=_mailed(equals),
        passed_on_to=frozenset[str]().union(*(part.passed_on_to for part in equals)),
        remote_mta=_first(part.remote_mta for part in good),
        original_message_id=_first(part.original_message_id for part in good),
        queue_id=_first(part.queue_id for part in good),
        campaign=_first(part.campaign for part in good),
        sources=tuple(sorted({source for part in ranked for source in part.sources})),
        observations=sum(part.observations for part in ranked),
        meta={name: value for part in reversed(good) for name, value in part.meta.items()},
        first_seen_at=min(part.first_seen_at for part in equals),
        last_seen_at=max(part.last_seen_at for part in equals),
        created_at=min((part.created_at for part in equals if part.created_at), default=None),
    )


def _mailed(ranked: Sequence[Bounce]) -> str:
    """Return whom the mail was for, of those to whom it went one after the other."""
    later = {name for part in ranked for name in part.passed_on_to}
    known = [part.recipient for part in ranked if part.created_at]
    names = known + [part.recipient for part in ranked]
    return _first(name for name in names if name not in later) or names[0]


def _first(values: Iterable[str]) -> str:
    return next((value for value in values if value), "")


def _meta(report: Report) -> dict[str, str]:
    named = {name: getattr(report, fact) for name, fact in META.items()}
    return {name: value for name, value in named.items() if value}
