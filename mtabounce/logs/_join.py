"""
Joins lines by queue id: who sent the message that failed, and who was still waiting for it.

A pure state machine: events in, deliveries out. It keeps messages in memory as long as they are
under way; recipients that wait for another attempt are also told (`waiting`, `settled`), so that
they can be kept elsewhere for days, and given back with `adopt`.
"""

import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from mtabounce.logs._clock import Clock
from mtabounce.logs._events import Attempt, Event, Kind, LogFormat, State, decoded

_BIRTHS = frozenset({Kind.MESSAGE_ID, Kind.RECEIVED})
_CANCELLED = b"delivery cancelled by administrator"  # the words of Exim's own report
MESSAGES = 50_000  # so many are kept in memory; the oldest go first, about 400 bytes each


class Key(NamedTuple):
    """What one message is known by in a log. All bytes are as logged."""

    host: bytes
    instance: bytes
    queue_id: bytes


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
    """What came of some events, in the order of the log."""

    deliveries: list[Delivery] = field(default_factory=list)  # all but those sent
    waiting: dict[tuple[str, str, str, str], Delivery] = field(default_factory=dict)
    settled: set[tuple[str, str, str, str]] = field(default_factory=set)
    counts: Counter[tuple[Bucket, State]] = field(default_factory=Counter)
    attempts: int = 0  # delivery lines
    unreadable: int = 0  # delivery lines that were not understood
    unknown_expiries: int = 0  # messages that expired and of which no recipient is known


class _Message:
    __slots__ = ("message_id", "named", "origins", "sender", "waiting", "whole")

    def __init__(
        self, *, whole: bool, sender: bytes | None = None, message_id: bytes = b""
    ) -> None:
        self.sender = sender
        self.message_id = message_id
        self.waiting: dict[bytes, Delivery] = {}
        self.named: dict[bytes, None] = {}  # recipients of whom nothing was heard yet
        self.origins: dict[bytes, bytes] = {}  # final → original, as an earlier MTA here said
        self.whole = whole  # what waits for it is all here, and nothing to be asked for


class Join:
    """
    The messages of one log. *host* stands for that of lines that name none.

    Feed it with the events of all formats that the log may hold, in the order of the log.
    """

    def __init__(self, clock: Clock, host: str = "", *, limit: int = MESSAGES) -> None:
        self.clock = clock
        self._host = host.encode()
        self._limit = limit
        self._messages: dict[Key, _Message] = {}
        self._instances: dict[bytes, dict[bytes, None]] = {}
        self._asked: set[Key] = set()
        self._counts: Counter[tuple[datetime, bytes, bytes, bytes, State]] = Counter()
        self._out = Joined()
        self._format: LogFormat
        self._handlers: dict[Kind, Callable[[Key, Event], None]] = {
            Kind.BORN: self._born,
            Kind.MESSAGE_ID: self._message_id,
            Kind.SENDER: self._sender,
            Kind.RECEIVED: self._received,
            Kind.DELIVERY: self._delivery,
            Kind.EXPIRED: self._expired,
            Kind.CANCELLED: self._cancelled,
            Kind.GONE: self._gone,
        }

    def missing(self, events: Iterable[Event]) -> set[Key]:
        """Return the messages of *events* of which more may be kept elsewhere: see `adopt`."""
        found: set[Key] = set()
        born: set[Key] = set()
        for event in events:
            key = Key(event.host or self._host, event.instance, event.queue_id)
            if event.kind in _BIRTHS:
                born.add(key)
                continue
            _, message = self._look(key)
            if (message is None or not message.whole) and key not in born:
                found.add(key)
        return found

    def adopt(self, waiting: Iterable[Delivery], asked: set[Key]) -> None:
        """Take back what is *waiting*, all there is of the messages *asked* for."""
        for one in waiting:
            key = Key(one.host.encode(), one.instance.encode(), one.queue_id.encode())
            message = self._messages.get(key) or self._new(key, whole=True)
            sender = None if one.reverse_path is None else one.reverse_path.encode()
            if message.sender not in (None, sender):
                continue  # of another message, which had this queue id before
            message.sender = sender
            message.message_id = message.message_id or one.original_message_id.encode()
            message.waiting.setdefault(one.final_recipient.encode(), one)
        for key in asked & self._messages.keys():
            self._messages[key].whole = True
        self._asked = asked

    def feed(self, events: Iterable[Event], form: LogFormat) -> Joined:
        """Return what *events* of the format *form*, the next of the log, add up to."""
        self._format = form
        handlers, host = self._handlers, self._host
        for event in events:
            kind, _, named, instance, queue_id, _, _ = event
            if kind in handlers:
                handlers[kind](Key(named or host, instance, queue_id), event)
        return self._leave()

    def dump(self) -> bytes:
        """Return what is in memory, without those who wait, for `load`."""
        rows = [_row(key, one) for key, one in self._messages.items()]
        return zlib.compress(json.dumps(rows, separators=(",", ":")).encode(), 1)

    def load(self, dumped: bytes) -> None:
        """Take back what `dump` gave. Raises ValueError where it is something else."""
        try:
            rows = json.loads(zlib.decompress(dumped))
        except zlib.error as error:
            raise ValueError(f"the state of a log is damaged: {error}") from error
        for host, instance, queue_id, sender, message_id, named, whole in rows:
            key = Key(*(part.encode("latin-1") for part in (host, instance, queue_id)))
            message = self._new(key, whole=whole)
            message.sender = None if sender is None else sender.encode("latin-1")
            message.message_id = message_id.encode("latin-1")
            message.named = {name.encode("latin-1"): None for name in named}

    def _leave(self) -> Joined:
        out, self._out = self._out, Joined()
        for (hour, domain, relay, sender, state), count in self._counts.items():
            out.counts[Bucket(hour, decoded(domain), decoded(relay), decoded(sender)), state] += (
                count
            )
        self._counts.clear()
        self._asked = set()
        while len(self._messages) > self._limit:
            del self._messages[next(iter(self._messages))]
        return out

    def _new(self, key: Key, *, whole: bool) -> _Message:
        message = self._messages[key] = _Message(whole=whole)
        self._instances.setdefault(key.host, {})[key.instance] = None
        return message

    def _look(self, key: Key) -> tuple[Key, _Message | None]:
        """Find a message; a transport may log under a name that its queue manager has not."""
        message = self._messages.get(key)
        if message is None:
            for instance in self._instances.get(key.host, ()):
                other = key._replace(instance=instance)
                if other in self._messages:
                    return other, self._messages[other]
        return key, message

    def _known(self, key: Key) -> tuple[Key, _Message]:
        found, message = self._look(key)
        return found, message or self._new(key, whole=key in self._asked)

    def _born(self, key: Key, event: Event) -> None:
        """Begin anew: whoever waited for the message that had this queue id waits no more."""
        del event
        if key in self._messages:
            self._settle(key, self._messages.pop(key))

    def _message_id(self, key: Key, event: Event) -> None:
        message = self._messages.get(key)
        if message is not None and message.sender is not None and message.message_id != event.rest:
            self._born(key, event)
            message = None
        message = message or self._new(key, whole=True)
        message.message_id = event.rest

    def _sender(self, key: Key, event: Event) -> None:
        message = self._messages.get(key)
        if message is not None and message.sender not in (None, event.rest):
            self._born(key, event)
            message = None
        message = message or self._new(key, whole=key in self._asked)
        message.sender = event.rest

    def _received(self, key: Key, event: Event) -> None:
        said = self._format.received(event.rest)
        self._born(key, event)
        message = self._new(key, whole=True)
        if said is not None:
            message.sender, message.message_id = said.reverse_path, said.message_id
            message.named = dict.fromkeys(said.recipients)

    def _delivery(self, key: Key, event: Event) -> None:
        attempt = self._format.attempt(event.rest)
        self._out.attempts += event.times
        if attempt is None:
            self._out.unreadable += 1
            return
        if attempt.state is State.NOTED:
            return
        key, message = self._known(key)
        if attempt.reverse_path is not None and message.sender is None:
            message.sender = attempt.reverse_path
        self._count(event, attempt, message)
        if attempt.state is State.SENT:
            self._sent(key, message, attempt)
        else:
            self._failed(key, message, event, attempt)

    def _count(self, event: Event, attempt: Attempt, message: _Message) -> None:
        address = attempt.final_recipient
        if b"@" not in address:
            address = attempt.original_recipient
        sender = message.sender or b""
        bucket = (
            self.clock.hour(event.stamp),
            address.rpartition(b"@")[2].lower(),
            attempt.relay.partition(b"[")[0].lower(),
            sender.rpartition(b"@")[2].lower(),
            State.BOUNCED if attempt.state is State.EXPIRED else attempt.state,
        )
        self._counts[bucket] += event.times

    def _sent(self, key: Key, message: _Message, attempt: Attempt) -> None:
        final, original = attempt.final_recipient, attempt.original_recipient
        if message.named:
            message.named.pop(original or final, None)
        if message.waiting and (waited := message.waiting.pop(final, None)):
            self._settled(waited)
        if attempt.heir:
            heir = self._messages.get(key._replace(queue_id=attempt.heir))
            if heir is not None:
                _inherit(heir, message, final, original)

    def _failed(self, key: Key, message: _Message, event: Event, attempt: Attempt) -> None:
        final = attempt.final_recipient
        waited = message.waiting.pop(final, None)
        delivery = self._made(key, message, event, attempt)
        if waited is not None:
            delivery = _after(waited, delivery)
        if attempt.state is State.DEFERRED:
            message.waiting[final] = delivery
            self._out.waiting[delivery.waits_as] = delivery
            self._out.settled.discard(delivery.waits_as)
        else:
            message.named.pop(attempt.original_recipient or final, None)
            if waited is not None:
                self._settled(waited)
        self._out.deliveries.append(delivery)

    def _made(self, key: Key, message: _Message, event: Event, attempt: Attempt) -> Delivery:
        explained = self._format.explain(attempt)
        original = attempt.original_recipient or message.origins.get(attempt.final_recipient, b"")
        sender = attempt.reverse_path if message.sender is None else message.sender
        return Delivery(
            host=decoded(key.host),
            instance=decoded(key.instance),
            queue_id=decoded(key.queue_id),
            final_recipient=decoded(attempt.final_recipient),
            original_recipient=decoded(original),
            reverse_path=None if sender is None else decoded(sender),
            original_message_id=decoded(message.message_id),
            state=attempt.state,
            status=decoded(attempt.status),
            diagnostic_code=explained.diagnostic_code,
            command=explained.command,
            remote_mta=explained.remote_mta,
            occurred_at=self.clock.at(event.stamp),
            reports_itself=self._reports(sender),
        )

    def _reports(self, sender: bytes | None) -> bool:
        if sender is None:
            return False
        reporter = self._format.reporter
        return not sender or (bool(reporter) and sender.startswith(reporter.encode() + b"@"))

    def _expired(self, key: Key, event: Event) -> None:
        key, message = self._known(key)
        if not message.waiting:
            self._out.unknown_expiries += 1
        at = self.clock.at(event.stamp)
        for waited in message.waiting.values():
            self._out.deliveries.append(replace(waited, state=State.EXPIRED, occurred_at=at))
            self._settled(waited)
        message.waiting.clear()

    def _cancelled(self, key: Key, event: Event) -> None:
        """Fail whoever waited, or was never tried: Exim tells the sender of each."""
        key, message = self._known(key)
        recipients = dict.fromkeys([*message.waiting, *message.named])
        for waited in message.waiting.values():
            self._settled(waited)
        for recipient in recipients:
            attempt = Attempt(State.BOUNCED, recipient, b"", b"", b"", _CANCELLED)
            self._out.deliveries.append(self._made(key, message, event, attempt))
        message.waiting.clear()
        message.named.clear()

    def _gone(self, key: Key, event: Event) -> None:
        del event
        message = self._messages.pop(key, None)
        if message is not None and message.waiting:
            self._settle(key, message)

    def _settle(self, key: Key, message: _Message) -> None:
        del key
        for waited in message.waiting.values():
            self._settled(waited)

    def _settled(self, waited: Delivery) -> None:
        self._out.waiting.pop(waited.waits_as, None)
        self._out.settled.add(waited.waits_as)


def _inherit(heir: _Message, message: _Message, final: bytes, original: bytes) -> None:
    """Let what a content filter gives back keep the identity of what it was given."""
    if heir.sender:
        heir.sender = message.sender or heir.sender
        heir.message_id = message.message_id or heir.message_id
    if original:
        heir.origins[final] = original


def _after(waited: Delivery, delivery: Delivery) -> Delivery:
    """Return *delivery* with what is known from the attempts before it."""
    told = {}
    if delivery.state is State.EXPIRED and waited.diagnostic_code:
        names = ("status", "diagnostic_code", "command", "remote_mta")
        told = {name: getattr(waited, name) for name in names}
    return replace(
        delivery,
        **told,
        original_recipient=delivery.original_recipient or waited.original_recipient,
        original_message_id=delivery.original_message_id or waited.original_message_id,
        attempts=waited.attempts + 1,
        first_deferred_at=waited.first_deferred_at or waited.occurred_at,
    )


def _row(key: Key, message: _Message) -> list[object]:
    names = [part.decode("latin-1") for part in key]
    named = [_text(name) for name in message.named]
    whole = message.whole and not message.waiting
    return [*names, _text(message.sender), _text(message.message_id), named, whole]


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")
