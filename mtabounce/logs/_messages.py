"""What a log is joined to: deliveries, and the messages that they belong to."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from mtabounce.logs._events import State

# What one message is known by in a log, as logged: host, instance, queue id.
Key = tuple[bytes, bytes, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How an attempt to deliver one message to one recipient ended, with all that is known."""

    host: str  # empty: the log does not say
    instance: str
    queue_id: str
    final_recipient: str
    original_recipient: str = ""
    reverse_path: str | None = None  # None: not known; "": the message is a bounce itself
    original_message_id: str = ""
    state: State
    status: str = ""
    diagnostic_code: str = ""
    command: str = ""
    remote_mta: str = ""
    occurred_at: datetime
    attempts: int = 1
    first_deferred_at: datetime | None = None  # None: it was never deferred
    reports_itself: bool = False  # a bounce or a report to the postmaster: nobody's fault

    @property
    def waits_as(self) -> tuple[str, str, str, str]:
        """What a recipient who waits for another attempt is known by."""
        return (self.host, self.instance, self.queue_id, self.final_recipient)


class Bucket(NamedTuple):
    """What deliveries are counted by."""

    hour: datetime
    domain: str  # of the recipient; empty where it has none
    relay: str  # host name, or transport
    sender_domain: str  # empty: the null sender, or not known


@dataclass(slots=True)
class Joined:
    """What came of some events, in the order of the log; *clock* knows what stamps mean."""

    clock: Callable[[bytes], datetime]
    deliveries: list[Delivery] = field(default_factory=list)  # all but those sent
    waiting: dict[tuple[str, str, str, str], Delivery] = field(default_factory=dict)
    settled: set[tuple[str, str, str, str]] = field(default_factory=set)
    counts: Counter[tuple[Bucket, State]] = field(default_factory=Counter)
    arrived: dict[bytes, bytes] = field(default_factory=dict)  # recipient → stamp, as logged
    attempts: int = 0  # delivery lines
    unreadable: int = 0  # delivery lines that were not understood
    unknown_expiries: int = 0  # messages that expired and of which no recipient is known


NOBODY: Mapping[bytes, Delivery] = MappingProxyType({})
_NONE: frozenset[bytes] = frozenset()
_NOTHING: Mapping[bytes, bytes] = MappingProxyType({})


class Message:
    """What is known of one message that is under way. All bytes are as logged."""

    __slots__ = ("message_id", "named", "origins", "sender", "sender_domain", "waiting")

    def __init__(self) -> None:
        self.sender: bytes | None = None  # None: not known
        self.sender_domain = b""
        self.message_id = b""
        # Nearly all messages arrive at once: they share these.
        self.waiting = NOBODY  # recipients, for another attempt
        self.named = _NONE  # recipients of whom nothing was heard yet
        self.origins = _NOTHING  # final → original, as an earlier MTA here said

    def wait(self, recipient: bytes, delivery: Delivery) -> None:
        """Let *recipient* wait for another attempt."""
        self.waiting = {**self.waiting, recipient: delivery}

    def heard_of(self, recipient: bytes) -> Delivery | None:
        """Return how *recipient* waited, and let it wait no more; None where it did not."""
        waited = self.waiting.get(recipient)
        if waited is not None:
            self.waiting = {name: one for name, one in self.waiting.items() if name != recipient}
        return waited

    def strike(self, recipient: bytes) -> None:
        """Note that something was heard of *recipient*."""
        if recipient in self.named:
            self.named = self.named - {recipient}

    def sent_by(self, sender: bytes | None) -> None:
        """Note the reverse path; None where it is not known."""
        self.sender = sender
        self.sender_domain = b"" if sender is None else sender[sender.rfind(b"@") + 1 :]

    def inherit(self, message: "Message", final: bytes, original: bytes) -> None:
        """Let what a content filter gives back keep the identity of the *message* it was."""
        if self.sender:
            self.sent_by(message.sender or self.sender)
            self.message_id = message.message_id or self.message_id
        if original:
            self.origins = {**self.origins, final: original}
