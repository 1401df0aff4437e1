"""
Which bounce an observation belongs to, and what the observations of one bounce add up to. Pure.

An observation finds its bounce by what both sides know of the failed message: its signed return
path, the envelope id (RFC 3461), its Message-ID, or its queue id at one host; each together with
the recipient, final or original. Where nothing is known, the report itself is what two copies of
it share.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice

from mtabounce.correlate._bounce import META, Bounce, merge
from mtabounce.correlate._groups import Groups
from mtabounce.correlate._observation import Observation, counted
from mtabounce.correlate._refs import (
    Ref,
    digest,
    queue_of,
    ref_of,
    refs_of_final,
    text_digest,
)
from mtabounce.correlate._whom import (
    ReturnPath,
    domain_of,
    passed_on_to,
    proof_of,
    recipient_of,
)
from mtabounce.model import (
    API,
    GRAVITY,
    BounceType,
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
    "counted",
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
_EPOCH = datetime.fromtimestamp(0, tz=UTC)  # a clock that says so, or less, was never set


def observe(
    raw: RawInput,
    judged: Judged,
    input_id: int | None = None,
    paths: Sequence[ReturnPath] = (),
) -> list[Observation]:
    """
    Return what *raw* says: one observation for each recipient that it names, and each event.

    *input_id* is the number of the input; None: it has none. Of two reports on one recipient in one
    event, the graver counts. A report that names nobody is about whom *paths* name, the return
    paths that *raw* came to; where they name nobody either, it is left out.
    """
    found: dict[tuple[str, bytes], Observation] = {}
    for report, judgement in zip(judged.reading.reports, judged.verdicts, strict=True):
        verdict = counted(report, judgement)
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

    *report* says when it was; *trust* is less where the log tells only a part of the story. The
    same line, read again from any copy of the log, gives the same observation.
    """
    recipient = recipient_of(report)
    at = report.occurred_at or _EPOCH
    said = (queue_of(report), report.final_recipient, str(report.action), str(report.status))
    told = (*said, report.diagnostic_code, at.isoformat())
    key = text_digest(*told)
    return Observation(
        recipient=recipient,
        occurred_at=at,
        key=key,
        source=source,
        parser=parser,
        trust=trust,
        report=report,
        verdict=counted(report, verdict),
        refs=tuple(_refs(report, recipient, trust, key)),
    )


def _graver(one: Verdict, other: Verdict) -> bool:
    return _gravity(one.type) > _gravity(other.type)


def _gravity(kind: BounceType | None) -> int:
    return -1 if kind is None else GRAVITY[kind]


def _observation(
    context: _Context, report: Report, verdict: Verdict, recipient: str
) -> Observation:
    raw, reading = context.raw, context.reading
    if context.proof and context.proof.campaign:
        report = replace(report, campaign=context.proof.campaign)
    trust = Trust.PROVEN if context.proof else _trust(raw, reading)
    mark = report.mark or reading.fingerprint
    return Observation(
        recipient=recipient,
        occurred_at=_time_of(report, raw, reading),
        key=_key_of(raw, mark, recipient),
        source=raw.source,
        parser=reading.parser,
        trust=trust,
        report=report,
        verdict=verdict,
        refs=tuple(_refs(report, recipient, trust, mark, context.proof)),
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
    if told is None or told <= _EPOCH or told - came > LATEST:
        return came
    is_known = kind == API and raw.trusted  # whoever has a token may tell of years ago
    return told if is_known or came - told <= OLDEST else came


def _refs(
    report: Report, recipient: str, trust: Trust, mark: bytes, proof: ReturnPath | None = None
) -> Iterator[Ref]:
    """
    Give all that *report* is known by; of a claim one only, so that it makes no two bounces one.

    Where it says nothing of the mail, it is known by *mark*.
    """
    found = _all_refs(report, recipient, mark, proof)
    return islice(found, 1) if trust is Trust.CLAIMED else found


def _all_refs(
    report: Report, recipient: str, mark: bytes, proof: ReturnPath | None
) -> Iterator[Ref]:
    known = {
        "message_id": report.original_message_id,
        "queue_id": queue_of(report),
        "envelope_id": report.original_envelope_id,
    }
    # Without a campaign, all mails of a day to one recipient may have the same return path.
    if proof and (proof.campaign or not known["message_id"]):
        yield ref_of("return_path", proof.mark, proof.recipient)
    elif not any(known.values()):
        yield ref_of("mail", mark.hex(), recipient)
    later = sorted(passed_on_to(report, recipient))
    for kind, identifier in known.items():
        if identifier and recipient:
            yield ref_of(kind, identifier, recipient)
            for other in later:
                yield from refs_of_final(kind, identifier, other)


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

    *known* are the stored refs that they share. Returns pairs: the ids of the bounces that turn out
    to be one, lowest first (none: it is a new bounce), and the observations that join them.
    """
    by_key = {ref.key: ref for ref in known}
    groups = Groups(len(observations))
    bounces: dict[int, set[int]] = {}
    owners: dict[bytes, str] = {}
    observations = [_of_its_own(one, by_key, owners) for one in observations]
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


def _of_its_own(
    observation: Observation, known: Mapping[bytes, KnownRef], owners: dict[bytes, str]
) -> Observation:
    """
    Return *observation* without the refs of a final recipient that is another original one's.

    *owners* are the recipients of the claims that were made before.
    """
    if not any(ref.claim for ref in observation.refs):
        return observation
    refs = [ref for ref in observation.refs if not ref.claim]
    bounces = {known[ref.key].bounce_id for ref in refs if ref.key in known}
    for ref in observation.refs:
        if not ref.claim:
            continue
        owner = known.get(ref.claim)
        if owner is not None and _still_good(ref, owner, observation):
            is_own = owner.bounce_id in bounces
        else:
            is_own = owners.setdefault(ref.claim, observation.recipient) == observation.recipient
        if is_own:
            refs.append(ref)
    return replace(observation, refs=tuple(refs))


def _still_good(ref: Ref, stored: KnownRef, observation: Observation) -> bool:
    if ref.kind != "queue_id":
        return True
    return abs(observation.occurred_at - stored.seen_at) <= QUEUE_ID_LIFE
