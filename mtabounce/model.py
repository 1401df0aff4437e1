"""
The vocabulary: frozen values that every part of the program passes on.

Names are those of the RFCs (3464, 3463, 5321, 5965) where the RFCs have one.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Self

_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)")


class Action(StrEnum):
    """What the reporting MTA did (RFC 3464 §2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


class BounceType(StrEnum):
    """How final a failure is, in the words of listmonk. It follows from the reason."""

    HARD = "hard"
    SOFT = "soft"
    COMPLAINT = "complaint"


class Fault(StrEnum):
    """Whose fault a failure is. Only the recipient's and the destination's may suppress."""

    RECIPIENT = "recipient"
    DESTINATION = "destination"
    SENDER = "sender"
    CONTENT = "content"
    UNKNOWN = "unknown"


class Outcome(StrEnum):
    """What kind of news a mail, or one report in it, is."""

    BOUNCE = "bounce"
    COMPLAINT = "complaint"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    AUTO_REPLY = "auto_reply"
    CHALLENGE = "challenge"
    UNSUBSCRIBE = "unsubscribe"
    SUPPRESSED = "suppressed"  # an ESP did not even try
    IGNORED = "ignored"  # understood, and not about delivery: an open, a click
    UNRECOGNIZED = "unrecognized"

    @property
    def is_failure(self) -> bool:
        """Whether it counts against anybody: a delay may yet arrive."""
        return self in _FAILURES


_FAILURES = (Outcome.BOUNCE, Outcome.COMPLAINT)
API = "api"  # the source of what programs post to our own API
WEBHOOK = "webhook:"  # how the source of a webhook's input begins; its name follows


class Trust(StrEnum):
    """How sure it is that an observation is true, from weakest to strongest."""

    CLAIMED = "claimed"
    LIKELY = "likely"
    PROVEN = "proven"


TRUST_RANK = {trust: rank for rank, trust in enumerate(Trust)}
GRAVITY = {BounceType.SOFT: 0, BounceType.HARD: 1, BounceType.COMPLAINT: 2}  # how grave each is


class EnhancedStatus(NamedTuple):  # looked up for each reply: a tuple's hash is quick
    """An enhanced mail system status code (RFC 3463 §2; registry: RFC 5248)."""

    class_: int  # 2, 4 or 5
    subject: int  # 0 to 999
    detail: int  # 0 to 999

    @classmethod
    def find(cls, text: str) -> Self | None:
        """Return the first status code in *text*, or None where it holds none."""
        found = _STATUS.search(text)
        return cls(*map(int, found.groups())) if found else None

    @property
    def is_vague(self) -> bool:
        """Whether the code says no more than "success", "not now" or "failed": x.0.0."""
        return self.subject == 0 and self.detail == 0

    def __str__(self) -> str:
        return f"{self.class_}.{self.subject}.{self.detail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RawInput:
    """Bytes as a source received them, with what it knows of where they came from."""

    source: str  # "receiver", "pipe", "pop3:NAME", "simulate", …
    content: bytes
    received_at: datetime  # aware
    reverse_path: str | None = None  # "" is the null sender; None: not known
    forward_paths: tuple[str, ...] = ()  # RCPT TO of the bounce; may carry a token
    peer: str = ""  # IP address, or "unix" for a Unix socket; "" where there is none
    trusted: bool = False  # handed over by our own MTA, as the source's settings say


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderNames:
    """Names of the headers of a mail that say whose it was. Any case; the first found counts."""

    campaign: tuple[str, ...] = ("X-Listmonk-Campaign", "X-Campaign-Id", "X-Campaign")
    subscriber: tuple[str, ...] = ("X-Listmonk-Subscriber",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one input says about one recipient. Facts only, no judgement."""

    outcome: Outcome
    final_recipient: str  # without the address type; as written, not normalized
    original_recipient: str = ""  # the same
    expanded_from: str = ""  # what its MTA made the final one of, where that is yet another
    action: Action | None = None  # None where the input is not a DSN, nor as good as one
    status: EnhancedStatus | None = None  # of the Status field, not of the diagnostic
    reply_code: int | None = None  # three digits, where a field of its own gives it
    diagnostic_code: str = ""  # without "smtp;", unfolded
    command: str = ""  # the SMTP command that the reply answers: "RCPT TO", "DATA", …
    remote_mta: str = ""  # without the name type
    reporting_mta: str = ""
    received_from_mta: str = ""
    dsn_gateway: str = ""
    original_envelope_id: str = ""
    final_log_id: str = ""
    arrival_date: datetime | None = None  # all datetimes are aware
    last_attempt_date: datetime | None = None
    will_retry_until: datetime | None = None
    queue_id: str = ""  # of the message that failed, at the reporting MTA
    original_message_id: str = ""  # without the angle brackets
    original_from: str = ""
    original_subject: str = ""
    original_date: datetime | None = None
    campaign: str = ""  # of the returned headers, by the configured names
    subscriber: str = ""
    list_id: str = ""
    feedback_id: str = ""
    feedback_type: str = ""  # RFC 5965 §3.1
    native_code: str = ""  # the provider's own word, verbatim
    hint: str = ""  # the reason that the ESP's word stands for; a reply that says why is better
    source: str = ""  # what the poster calls itself, where a program posted the event
    meta: str = ""  # JSON that the poster attached
    mark: bytes = b""  # 16 bytes, the same for two copies of one event; empty: of one input
    occurred_at: datetime | None = None  # None: the input does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """All that one input says."""

    outcome: Outcome
    reports: tuple[Report, ...] = ()
    parser: str = ""  # the parser that recognized it; "" where none did
    fingerprint: bytes = b""  # 16 bytes; the same for two copies that took different ways
    note: str = ""  # what of it could not be used, and why; one line
    relayed: bool = True  # whether some other host handed it to the MTA that we had it from
    arrived_at: datetime | None = None  # when its last server took it; None: it does not say
    return_paths: tuple[str, ...] = ()  # of the mail that it is about, as it says itself


class Verdict(NamedTuple):  # made for each reply, in a quarter of the time of a dataclass
    """The classifier's judgement of one report, and why."""

    type: BounceType | None  # None for auto-replies, challenges and successes; of a delay, soft
    reason: str  # one of rules/reasons.toml
    fault: Fault | None
    rule: str  # the id of the rule that decided
    status: EnhancedStatus | None = None  # the effective one: see docs/glossary.md
    reply_code: int | None = None  # the effective one
    matched: str = ""  # the words that the rule matched; "" where it looked at codes only


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A reading with a verdict for each of its reports, in order."""

    reading: Reading
    verdicts: tuple[Verdict, ...] = field(default=())
