"""What a log is joined to: deliveries, and the messages that they belong to."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from mtabounce.logs._events import LogFormat, State, decoded, parts_of

Waiting = tuple[str, str, str, str, str]  # what a recipient who waits is known by


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
    def waits_as(self) -> Waiting:
        """What a recipient who waits for another attempt is known by: two may forward to one."""
        message = (self.host, self.instance, self.queue_id)
        return (*message, self.final_recipient, self.original_recipient)


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
    waiting: dict[Waiting, Delivery] = field(default_factory=dict)
    settled: set[Waiting] = field(default_factory=set)
    counts: Counter[tuple[Bucket, State]] = field(default_factory=Counter)
    arrived: dict[bytes, bytes] = field(default_factory=dict)  # recipient → stamp, as logged
    arrived_before: list[tuple[bytes, bytes]] = field(default_factory=list)  # in lines before that
    sent: dict[tuple[bytes, bytes], bytes] = field(default_factory=dict)  # see _sent.py
    attempts: int = 0  # delivery lines
    unreadable: int = 0  # delivery lines that were not understood
    unknown_expiries: int = 0  # messages that expired and of which no recipient is known


Whom = tuple[str, str]  # final and original recipient; the latter empty: the same
NOBODY: Mapping[Whom, Delivery] = MappingProxyType({})
NOTHING: Mapping[bytes, bytes] = MappingProxyType({})
NOT_NAMED: frozenset[bytes] | set[bytes] = frozenset()


class Message:
    """What is known of one message that is under way. All bytes are as logged."""

    __slots__ = ("_form", "_told", "named", "origins", "sender", "waiting")

    def __init__(
        self, sender: bytes | None = None, told: bytes = b"", form: LogFormat | None = None
    ) -> None:
        """*told* is what holds the Message-ID in the words of *form*; None: it is the id itself."""
        self.sender = sender  # None: not known
        self._told = told
        self._form = form
        # Nearly all messages arrive at once: they have nothing of their own here.
        self.waiting = NOBODY  # recipients, for another attempt
        self.named = NOT_NAMED  # recipients of whom nothing was heard yet
        self.origins = NOTHING  # final → original, as an earlier MTA here said

    @property
    def message_id(self) -> bytes:
        """The Message-ID without angle brackets; it may be anything at all, or empty: not known."""
        if self._form is not None:
            self._told, self._form = self._form.message_id(self._told), None
        return self._told

    def came_with(self, told: bytes, form: LogFormat | None = None) -> None:
        """Note *told*, which holds the Message-ID in the words of *form*; None: it is the id."""
        self._told, self._form = told, form

    def wait(self, delivery: Delivery) -> None:
        """Let its recipient wait for another attempt, but for one who waits already."""
        if not isinstance(self.waiting, dict):
            self.waiting = {}
        whom = _whom(delivery.final_recipient, delivery.original_recipient)
        self.waiting.setdefault(whom, delivery)

    def heard_of(self, final: bytes, original: bytes, *, is_over: bool) -> Delivery | None:
        """Return how a recipient waited, and let it wait no more; None where it did not."""
        if not isinstance(self.waiting, dict):
            return None
        whom = _whom(decoded(final), decoded(original))
        if whom not in self.waiting and original and self.origins.get(final) == original:
            whom = (whom[0], "")  # it waited before it was known where the message is from
        elif whom not in self.waiting and is_over:
            # Exim names another address in the middle here than before; or the address as it was
            # mailed, where it had named it in lower case, and then as it was.
            whom = next((one for one in self.waiting if whom[0] in one), whom)
        waited: Delivery | None = self.waiting.pop(whom, None)
        return waited

    def strike(self, recipient: bytes) -> None:
        """Note that something was heard of *recipient*."""
        if recipient in self.named:
            if not isinstance(self.named, set):
                self.named = set(self.named)
            self.named.discard(recipient)

    def inherit(self, message: "Message", final: bytes, original: bytes) -> None:
        """Let what a content filter gives back keep the identity of the *message* it was."""
        if self.sender:
            self.sender = message.sender or self.sender
            self.came_with(message.message_id or self.message_id)
        if original:
            self.origins = {**self.origins, final: original}


def _whom(final: str, original: str) -> Whom:
    return final, "" if original == final else original


def domain_of(address: bytes | None) -> bytes:
    """Return the domain of *address*; all of it where it has none, b"" where it is not known."""
    return address[address.rfind(b"@") + 1 :] if address else b""


class Names(dict[bytes, tuple[str, str]]):
    """Host and instance of a place as text; *host* stands for that of lines that name none."""

    def __init__(self, host: bytes) -> None:
        super().__init__()
        self._host = host

    def __missing__(self, place: bytes) -> tuple[str, str]:
        host, instance, _ = parts_of(place)
        found = self[place] = (decoded(host or self._host), decoded(instance))
        return found
