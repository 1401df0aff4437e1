"""
Which bounce an observation belongs to, and what the observations of one bounce add up to. Pure.

An observation finds its bounce by what both sides know of the failed message: its signed return
path, the envelope id (RFC 3461), its Message-ID, or its queue id at one host; each together with
the recipient, final or original. Where nothing is known, the report itself is what two copies of
it share.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Self

from mtabounce.correlate._groups import Groups
from mtabounce.correlate._refs import Ref, digest, queue_of, ref_of, text_digest
from mtabounce.correlate._whom import ReturnPath, domain_of, key_of, proof_of, recipient_of
from mtabounce.model import (
    API,
    BounceType,
    Fault,
    Judged,
    RawInput,
    Reading,
    Report,
    Trust,
    Verdict,
)

__all__ = [
    "META",
    "Bounce",
    "KnownRef",
    "Observation",
    "ReturnPath",
    "domain_of",
    "group",
    "merge",
    "observe",
    "observe_delivery",
    "recipient_of",
]

QUEUE_ID_LIFE = timedelta(days=10)  # MTAs use their queue ids again
OLDEST = timedelta(days=45)  # an event's own time is believed so far back …
LATEST = timedelta(minutes=10)  # … and so far ahead of its arrival
_KEPT = {"import", "pop3", "imap"}  # kinds of sources with mail that came long before we had it
_UNKNOWN = datetime.fromtimestamp(0, tz=UTC)
_TRUST = {trust: rank for rank, trust in enumerate(Trust)}
_TYPES = {BounceType.SOFT: 0, BounceType.HARD: 1, BounceType.COMPLAINT: 2}


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
class Observation:
    """A report with its verdict, whom it is about, and what it is known by."""

    recipient: str  # normalized; the address that we mailed, where the report says
    domain: str
    occurred_at: datetime
    key: bytes  # 16 bytes; the same for two copies of one mail
    source: str
    parser: str
    trust: Trust
    report: Report
    verdict: Verdict
    refs: tuple[Ref, ...]
    input_id: int | None = None
    is_spoilt: bool = False  # it came to a return path that proves nothing, and should have

    @property
    def counts(self) -> bool:
        """Whether it is a failure or a complaint, and so part of a bounce."""
        return self.verdict.type is not None


def observe(
    raw: RawInput,
    judged: Judged,
    input_id: int | None = None,
    paths: Sequence[ReturnPath] = (),
) -> list[Observation]:
    """
    Return what *raw* says, one observation for each recipient that it names, and each event.

    Of two reports on one recipient, in one event, the graver counts. A report that names nobody
    is on whom *paths*, the return paths that *raw* came to, name; where they name nobody, it is
    left out.
    """
    found: dict[tuple[str, bytes], Observation] = {}
    for report, verdict in zip(judged.reading.reports, judged.verdicts, strict=True):
        recipient = recipient_of(report, paths)
        if not recipient:
            continue
        if proof := proof_of(paths, report, recipient):
            recipient = proof.recipient
        one = (recipient, report.mark)
        if one not in found or _graver(verdict, found[one].verdict):
            is_spoilt = any(path.is_spoilt for path in paths)
            context = _Context(raw, judged.reading, input_id, proof, is_spoilt)
            found[one] = _observation(context, report, verdict, recipient)
    return list(found.values())


@dataclass(frozen=True, slots=True)
class _Context:
    raw: RawInput
    reading: Reading
    input_id: int | None
    proof: ReturnPath | None = None  # a signed return path that names the recipient
    is_spoilt: bool = False


def observe_delivery(
    report: Report, verdict: Verdict, *, source: str, parser: str, trust: Trust = Trust.PROVEN
) -> Observation:
    """
    Return what the log of our own MTA says of one delivery.

    *report* says when it was; *trust* is less where the log holds a part of the story only. The
    same line, read again from any copy of the log, gives the same
    observation.
    """
    recipient = recipient_of(report)
    at = report.occurred_at or _UNKNOWN
    said = (queue_of(report), report.final_recipient, str(report.action), str(report.status))
    told = (*said, report.diagnostic_code, at.isoformat())
    key = text_digest(*told)
    return Observation(
        recipient=recipient,
        domain=domain_of(recipient),
        occurred_at=at,
        key=key,
        source=source,
        parser=parser,
        trust=trust,
        report=report,
        verdict=verdict,
        refs=tuple(_refs(_logged(source, report, key), report, recipient, trust)),
    )


def _logged(source: str, report: Report, key: bytes) -> _Context:
    raw = RawInput(source=source, content=b"", received_at=report.occurred_at or _UNKNOWN)
    return _Context(raw, Reading(outcome=report.outcome, fingerprint=key), None)


def _graver(one: Verdict, other: Verdict) -> bool:
    return _gravity(one.type) > _gravity(other.type)


def _gravity(kind: BounceType | None) -> int:
    return -1 if kind is None else _TYPES[kind]


def _observation(
    context: _Context, report: Report, verdict: Verdict, recipient: str
) -> Observation:
    raw, reading = context.raw, context.reading
    if context.proof and context.proof.campaign:
        report = replace(report, campaign=context.proof.campaign)
    trust = Trust.PROVEN if context.proof else _trust(raw, reading)
    return Observation(
        recipient=recipient,
        domain=domain_of(recipient),
        occurred_at=_time_of(report, raw, reading),
        key=_key_of(raw, report.mark or reading.fingerprint, recipient),
        source=raw.source,
        parser=reading.parser,
        trust=trust,
        report=report,
        verdict=verdict,
        refs=tuple(_refs(context, report, recipient, trust)),
        input_id=context.input_id,
        is_spoilt=context.is_spoilt and not context.proof,
    )


def _key_of(raw: RawInput, mark: bytes, recipient: str) -> bytes:
    """Two copies of a mail are one observation; what two kinds of sources say are two."""
    kind = raw.source.partition(":")[0]
    return digest(mark, recipient.encode(errors="replace"), kind.encode(errors="replace"))


def _trust(raw: RawInput, reading: Reading) -> Trust:
    """Our own MTA made the report where a trusted peer had it from no other host."""
    return Trust.PROVEN if raw.trusted and not reading.relayed else Trust.CLAIMED


def _time_of(report: Report, raw: RawInput, reading: Reading) -> datetime:
    """Return when it was: what it says, as far as that fits when it came to us."""
    kind, came, told = raw.source.partition(":")[0], raw.received_at, report.occurred_at
    if kind in _KEPT and reading.arrived_at is not None:
        came = min(came, reading.arrived_at)
    if told is None or told - came > LATEST:
        return came
    is_known = kind == API and raw.trusted  # whoever has a token may tell of years ago
    return told if is_known or came - told <= OLDEST else came


def _refs(context: _Context, report: Report, recipient: str, trust: Trust) -> Iterator[Ref]:
    """Give all that it is known by; of a claim one only, so that it makes no two bounces one."""
    found = _all_refs(context, report, recipient)
    return islice(found, 1) if trust is Trust.CLAIMED else found


def _all_refs(context: _Context, report: Report, recipient: str) -> Iterator[Ref]:
    known = {
        "message_id": report.original_message_id,
        "queue_id": queue_of(report),
        "envelope_id": report.original_envelope_id,
    }
    names = dict.fromkeys((recipient, key_of(report.final_recipient)))
    # Without a campaign, all mails of a day to one recipient may have the same return path.
    if context.proof and (context.proof.campaign or not known["message_id"]):
        yield ref_of("return_path", context.proof.mark, context.proof.recipient)
    elif not any(known.values()):
        yield ref_of("mail", (report.mark or context.reading.fingerprint).hex(), recipient)
    for kind, identifier in known.items():
        for name in filter(None, names if identifier else ()):
            yield ref_of(kind, identifier, name)


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
        )

    @property
    def weight(self) -> tuple[int, int, bool, float, bytes]:
        """What orders observations of one failure: the greatest one decides the facts."""
        return (
            _TRUST[self.trust],
            _TYPES[self.type],
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
    that is known: created_at. The lowest stored id stays.
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


def _first(values: Iterable[str]) -> str:
    return next((value for value in values if value), "")


def _meta(report: Report) -> dict[str, str]:
    named = {name: getattr(report, fact) for name, fact in META.items()}
    return {name: value for name, value in named.items() if value}


@dataclass(frozen=True, slots=True)
class KnownRef:
    """A ref as it is stored."""

    key: bytes
    bounce_id: int
    seen_at: datetime


def group(
    observations: Sequence[Observation], known: Iterable[KnownRef]
) -> list[tuple[list[int], list[Observation]]]:
    """
    Put *observations* with the bounces they belong to, and with each other.

    Returns pairs: the ids of the bounces that turn out to be one, lowest first (none: it is a
    new bounce), and the observations that join them.
    """
    by_key = {ref.key: ref for ref in known}
    groups = Groups(len(observations))
    bounces: dict[int, set[int]] = {}
    for index, observation in enumerate(observations):
        for ref in observation.refs:
            groups.join(index, ref.key)
            stored = by_key.get(ref.key)
            if stored and _still_good(ref, stored, observation):
                groups.join(index, stored.bounce_id)
                bounces.setdefault(index, set()).add(stored.bounce_id)
    return [
        (
            sorted({number for index in members for number in bounces.get(index, ())}),
            [observations[index] for index in members],
        )
        for members in groups.members()
    ]


def _still_good(ref: Ref, stored: KnownRef, observation: Observation) -> bool:
    if ref.kind != "queue_id":
        return True
    return abs(observation.occurred_at - stored.seen_at) <= QUEUE_ID_LIFE
