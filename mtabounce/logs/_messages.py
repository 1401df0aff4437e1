"""What a log is joined to: deliveries, and the messages that they belong to."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from mtabounce.logs._events import LogFormat, State, decoded


class Delivery(NamedTuple):
    """How an attempt to deliver one message to one recipient ended, with all that is known."""

    host: str  # empty: the log does not say
    instance: str
    queue_id: str
    final_recipient: str
    state: State
    occurred_at: datetime
    original_recipient: str = ""
    reverse_path: str | None = None  # None: not known; "": the message is a bounce itself
    original_message_id: str = ""
    status: str = ""
    diagnostic_code: str = ""
    command: str = ""
    remote_mta: str = ""
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


def bare(message_id: bytes) -> bytes:
    """Return *message_id* without its angle brackets; it may have none, or be anything at all."""
    found = message_id.strip()
    return found[1:-1] if found[:1] == b"<" and found[-1:] == b">" else found


NOBODY: Mapping[bytes, Delivery] = MappingProxyType({})
_NONE: frozenset[bytes] = frozenset()
_NOTHING: Mapping[bytes, bytes] = MappingProxyType({})


class Message:
    """What is known of one message that is under way. All bytes are as logged."""

    __slots__ = (
        "_form", "_message_id", "_told", "named", "origins", "sender", "sender_domain", "waiting",
    )  # fmt: skip

    def __init__(self) -> None:
        self.sender: bytes | None = None  # None: not known
        self.sender_domain = b""
        self._message_id = b""
        self._told = b""  # the line that has the Message-ID, where nobody asked for it yet
        self._form: LogFormat | None = None  # of that line
        # Nearly all messages arrive at once: they share these.
        self.waiting = NOBODY  # recipients, for another attempt
        self.named = _NONE  # recipients of whom nothing was heard yet
        self.origins = _NOTHING  # final → original, as an earlier MTA here said

    @property
    def message_id(self) -> bytes:
        """The Message-ID without angle brackets; it may be anything at all, or empty: not known."""
        if self._form is not None:
            self._message_id, self._form = self._form.message_id(self._told), None
        return bare(self._message_id)

    @message_id.setter
    def message_id(self, value: bytes) -> None:
        self._message_id, self._form = value, None

    def came_with(self, told: bytes, form: LogFormat) -> None:
        """Note the line *told* of the format *form*, which has the Message-ID."""
        self._told, self._form = told, form

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


class Names(dict[tuple[bytes, bytes], tuple[str, str]]):
    """Host and instance of a message as text; *host* stands for that of lines that name none."""

    def __init__(self, host: bytes) -> None:
        super().__init__()
        self._host = host

    def __missing__(self, place: tuple[bytes, bytes]) -> tuple[str, str]:
        found = self[place] = (decoded(place[0] or self._host), decoded(place[1]))
        return found
