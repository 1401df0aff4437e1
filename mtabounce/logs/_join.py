"""
Joins lines by queue id: who sent the message that failed, and who was still waiting for it.

A pure state machine: events in, deliveries out. It keeps messages in memory as long as they are
under way; recipients that wait for another attempt are also told (`waiting`, `settled`), so that
they can be kept elsewhere for days, and given back with `adopt`.
"""

import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from itertools import islice

from mtabounce.logs._clock import Clock
from mtabounce.logs._events import Attempt, Event, Key, Kind, LogFormat, State, decoded
from mtabounce.logs._messages import NOBODY, Bucket, Delivery, Joined, Message, Names, bare

_BIRTHS = frozenset({Kind.MESSAGE_ID, Kind.RECEIVED})
_CANCELLED = b"delivery cancelled by administrator"  # the words of Exim's own report
AWAKE = 2_000  # messages of those for which somebody waits: the next attempt may be near
MESSAGES = 50_000  # so many are kept in memory; the oldest go first, about 400 bytes each


class Join:
    """
    The messages of one log. *host* stands for that of lines that name none.

    Feed it with the events of all formats that the log may hold, in the order of the log.
    """

    def __init__(self, clock: Clock, host: str = "", *, limit: int = MESSAGES) -> None:
        self.clock = clock
        self._host = host.encode()
        self._limit = limit
        self._messages: dict[Key, Message] = {}
        self._instances: dict[bytes, dict[bytes, None]] = {}
        self._names = Names(self._host)
        self._asked: set[Key] = set()
        self._sleepers: dict[Key, None] = {}  # messages for which somebody began to wait
        self._partial: set[Key] = set()  # messages of which more may be kept elsewhere
        self._counts: defaultdict[tuple[datetime, bytes, bytes, bytes, State], int] = defaultdict(
            int
        )
        self._arrivals: defaultdict[datetime, Counter[tuple[bytes, bytes, bytes]]]
        self._arrivals = defaultdict(Counter)  # as _counts, of those sent: they are the most
        self._turn_to(b"")
        self._out = Joined(clock=clock.at)
        self._format: LogFormat
        self._handlers: dict[Kind, Callable[[Key, Message | None, bytes, bytes, int], None]] = {
            Kind.MESSAGE_ID: self._message_id,
            Kind.SENDER: self._sender,
            Kind.RECEIVED: self._received,
            Kind.DELIVERY: self._delivery,
            Kind.EXPIRED: self._expired,
            Kind.CANCELLED: self._cancelled,
            Kind.GONE: self._gone,
        }

    def missing(self, events: Collection[Event]) -> set[Key]:
        """Return the messages of *events* of which more may be kept elsewhere: see `adopt`."""
        partial = self._partial
        keys = {event[2] for event in events}
        found = keys.difference(self._messages)
        found -= {event[2] for event in events if event[0] in _BIRTHS}
        return (keys & partial) | {key for key in found if self._look(key)[1] is None}

    def adopt(self, waiting: Iterable[Delivery], asked: set[Key]) -> None:
        """Take back what is *waiting*, all there is of the messages *asked* for."""
        for one in waiting:
            key = self._key_of(one, asked)
            message = self._messages.get(key) or self._new(key, whole=True)
            sender = None if one.reverse_path is None else one.reverse_path.encode()
            if message.sender not in (None, sender):
                continue  # of another message, which had this queue id before
            message.sent_by(sender)
            message.message_id = message.message_id or one.original_message_id.encode()
            message.wait(
                one.final_recipient.encode(), message.waiting.get(one.final_recipient.encode(), one)
            )
        self._partial -= asked
        self._asked = asked

    def feed(self, events: Iterable[Event], form: LogFormat) -> None:
        """Join *events* of the format *form*, the next of the log."""
        self._format = form
        handlers, known = self._handlers, self._messages.get
        for kind, stamp, key, rest, times in events:
            handlers[kind](key, known(key), stamp, rest, times)
        self._asked = set()
        for _ in range(len(self._messages) - self._limit):
            key = next(iter(self._messages))
            message = self._messages.pop(key)
            if message.waiting:  # perhaps not kept elsewhere yet: to the end of the queue
                self._messages[key] = message
            else:
                self._partial.discard(key)

    def let_sleep(self, awake: int = AWAKE) -> None:
        """Forget messages for which somebody waits, but *awake*: they are kept elsewhere now."""
        for key in list(islice(self._sleepers, max(0, len(self._sleepers) - awake))):
            del self._sleepers[key]
            message = self._messages.get(key)
            if message is not None and message.waiting and not message.named:
                del self._messages[key]
                self._partial.discard(key)

    @property
    def attempts(self) -> tuple[int, int]:
        """How many delivery lines were fed since the last `take`; how many were not understood."""
        return self._out.attempts, self._out.unreadable

    @property
    def failures(self) -> int:
        """How many deliveries failed, or were put off, since the last `take`."""
        return len(self._out.deliveries)

    def take(self) -> Joined:
        """Return what came of all that was fed since the last time."""
        out, self._out = self._out, Joined(clock=self.clock.at)
        for (hour, domain, relay, sender, state), count in self._counts.items():
            bucket = Bucket(hour, _name(domain), _name(relay), _name(sender))
            out.counts[bucket, state] += count
        for hour, arrivals in self._arrivals.items():
            for (domain, relay, sender), count in arrivals.items():
                bucket = Bucket(hour, _name(domain), _name(relay), _name(sender))
                out.counts[bucket, State.SENT] += count
        self._counts.clear()
        self._arrivals.clear()
        self._turn_to(b"")
        return out

    def dump(self) -> bytes:
        """Return the messages in memory for which nobody waits, for `load`."""
        rows = [
            _row(key, one, whole=key not in self._partial)
            for key, one in self._messages.items()
            if not one.waiting  # the others are asked for again
        ]
        return zlib.compress(json.dumps(rows, separators=(",", ":")).encode(), 1)

    def load(self, dumped: bytes) -> None:
        """Take back what `dump` gave. Raises ValueError where it is something else."""
        try:
            rows = json.loads(zlib.decompress(dumped))
        except zlib.error as error:
            raise ValueError(f"the state of a log is damaged: {error}") from error
        for host, instance, queue_id, sender, message_id, named, whole in rows:
            key = (host.encode("latin-1"), instance.encode("latin-1"), queue_id.encode("latin-1"))
            message = self._new(key, whole=whole)
            message.sent_by(None if sender is None else sender.encode("latin-1"))
            message.message_id = message_id.encode("latin-1")
            message.named = frozenset(name.encode("latin-1") for name in named)

    def _new(self, key: Key, *, whole: bool) -> Message:
        message = self._messages[key] = Message()
        if not whole:
            self._partial.add(key)
        if key[1] not in self._instances.get(key[0], ()):
            self._instances.setdefault(key[0], {})[key[1]] = None
        return message

    def _key_of(self, one: Delivery, asked: set[Key]) -> Key:
        key = (one.host.encode(), one.instance.encode(), one.queue_id.encode())
        return key if key in asked or key[0] != self._host else (b"", *key[1:])

    def _look(self, key: Key) -> tuple[Key, Message | None]:
        """Find a message; a transport may log under a name that its queue manager has not."""
        message = self._messages.get(key)
        if message is None:
            host, _, queue_id = key
            for instance in self._instances.get(host, ()):
                other = (host, instance, queue_id)
                if other in self._messages:
                    return other, self._messages[other]
        return key, message

    def _known(self, key: Key) -> tuple[Key, Message]:
        found, message = self._look(key)
        return found, message or self._new(key, whole=key in self._asked)

    def _end(self, key: Key) -> None:
        """Begin anew: whoever waited for the message that had this queue id waits no more."""
        self._settle(self._messages.pop(key))

    def _message_id(
        self, key: Key, message: Message | None, _: bytes, rest: bytes, __: int
    ) -> None:
        if message is None:
            message = self._new(key, whole=True)
        elif message.sender is not None and message.message_id != bare(rest):
            self._end(key)
            message = self._new(key, whole=True)
        message.message_id = rest

    def _sender(self, key: Key, message: Message | None, _: bytes, rest: bytes, __: int) -> None:
        if message is None:
            message = self._new(key, whole=key in self._asked)
        elif message.sender == rest:
            return
        elif message.sender is not None:
            self._end(key)
            message = self._new(key, whole=key in self._asked)
        message.sent_by(rest)

    def _received(self, key: Key, message: Message | None, _: bytes, rest: bytes, __: int) -> None:
        if message is not None:
            self._end(key)
        message = self._new(key, whole=True)
        sender, message.named = self._format.received(rest)
        message.came_with(rest, self._format)
        message.sent_by(sender)

    def _delivery(
        self, key: Key, message: Message | None, stamp: bytes, rest: bytes, times: int
    ) -> None:
        out = self._out
        out.attempts += times
        plainly = self._format.sent(rest)
        if plainly is None:
            self._closely(key, stamp, rest, times)
            return
        recipient, relay, reverse_path = plainly
        if message is None:
            message = self._known(key)[1]
        if message.sender is None and reverse_path is not None:
            message.sent_by(reverse_path)
        if message.named or message.waiting:
            self._arrived(message, recipient, recipient)
        if stamp != self._stamp:
            self._turn_to(stamp)
        domain = recipient[recipient.rfind(b"@") + 1 :]
        self._arriving[domain, relay, message.sender_domain] += times
        if message.origins:
            recipient = message.origins.get(recipient, recipient)
        out.arrived[recipient] = stamp

    def _turn_to(self, stamp: bytes) -> None:
        """Count in the hour of *stamp* from now on."""
        self._stamp, self._hour = stamp, self.clock.hour(stamp)
        self._arriving = self._arrivals[self._hour]

    def _closely(self, key: Key, stamp: bytes, rest: bytes, times: int) -> None:
        attempt = self._format.attempt(rest)
        if attempt is None:
            self._out.unreadable += 1
            return
        if attempt.state is State.NOTED:
            return
        key, message = self._known(key)
        if attempt.reverse_path is not None and message.sender is None:
            message.sent_by(attempt.reverse_path)
        final, original = attempt.final_recipient, attempt.original_recipient
        relay, _, _ = attempt.relay.partition(b"[")
        counted = State.BOUNCED if attempt.state is State.EXPIRED else attempt.state
        self._count(stamp, final if b"@" in final else original, relay, message, counted, times)
        if attempt.state is State.SENT:
            self._arrived(message, final, original or final)
            self._handed_on(key, message, attempt)
            if attempt.arrived:
                self._out.arrived[original or message.origins.get(final, final)] = stamp
        else:
            self._failed(key, message, stamp, attempt)

    def _count(
        self,
        stamp: bytes,
        recipient: bytes,
        relay: bytes,
        message: Message,
        state: State,
        times: int,
    ) -> None:
        if stamp != self._stamp:
            self._turn_to(stamp)
        domain = recipient[recipient.rfind(b"@") + 1 :]
        self._counts[self._hour, domain, relay, message.sender_domain, state] += times

    def _arrived(self, message: Message, final: bytes, original: bytes) -> None:
        message.strike(original)
        waited = message.heard_of(final)
        if waited is not None:
            self._settled(waited)

    def _handed_on(self, key: Key, message: Message, attempt: Attempt) -> None:
        heir = self._messages.get((*key[:2], attempt.heir)) if attempt.heir else None
        if heir is not None:
            heir.inherit(message, attempt.final_recipient, attempt.original_recipient)

    def _failed(self, key: Key, message: Message, stamp: bytes, attempt: Attempt) -> None:
        final = attempt.final_recipient
        waited = message.heard_of(final)
        delivery = self._made(key, message, stamp, attempt)
        if waited is not None:
            delivery = _after(waited, delivery)
        if attempt.state is State.DEFERRED:
            message.wait(final, delivery)
            self._sleepers[key] = None
            self._out.waiting[delivery.waits_as] = delivery
            self._out.settled.discard(delivery.waits_as)
        else:
            message.strike(attempt.original_recipient or final)
            if waited is not None:
                self._settled(waited)
        self._out.deliveries.append(delivery)

    def _made(self, key: Key, message: Message, stamp: bytes, attempt: Attempt) -> Delivery:
        explained = self._format.explain(attempt)
        original = attempt.original_recipient or message.origins.get(attempt.final_recipient, b"")
        sender = message.sender if attempt.reverse_path is None else attempt.reverse_path
        host, instance = self._names[key[:2]]
        return Delivery(
            host=host,
            instance=instance,
            queue_id=decoded(key[2]),
            final_recipient=decoded(attempt.final_recipient),
            original_recipient=decoded(original),
            reverse_path=None if sender is None else decoded(sender),
            original_message_id=decoded(message.message_id),
            state=attempt.state,
            status=decoded(attempt.status),
            diagnostic_code=explained.diagnostic_code,
            command=explained.command,
            remote_mta=explained.remote_mta,
            occurred_at=self.clock.at(stamp),
            reports_itself=self._reports(sender),
        )

    def _reports(self, sender: bytes | None) -> bool:
        if sender is None:
            return False
        reporter = self._format.reporter
        return not sender or (bool(reporter) and sender.startswith(reporter.encode() + b"@"))

    def _expired(self, key: Key, _: Message | None, stamp: bytes, *__: object) -> None:
        key, message = self._known(key)
        if not message.waiting:
            self._out.unknown_expiries += 1
        at = self.clock.at(stamp)
        for waited in message.waiting.values():
            self._out.deliveries.append(waited._replace(state=State.EXPIRED, occurred_at=at))
            self._settled(waited)
        message.waiting = NOBODY

    def _cancelled(self, key: Key, _: Message | None, stamp: bytes, *__: object) -> None:
        """Fail whoever waited, or was never tried: Exim tells the sender of each."""
        key, message = self._known(key)
        recipients = dict.fromkeys([*message.waiting, *sorted(message.named)])
        for waited in message.waiting.values():
            self._settled(waited)
        for recipient in recipients:
            attempt = Attempt(State.BOUNCED, recipient, b"", b"", b"", _CANCELLED)
            self._out.deliveries.append(self._made(key, message, stamp, attempt))
        message.waiting, message.named = NOBODY, frozenset()

    def _gone(self, key: Key, message: Message | None, *_: object) -> None:
        if message is not None:
            del self._messages[key]
            if message.waiting:
                self._settle(message)

    def _settle(self, message: Message) -> None:
        for waited in message.waiting.values():
            self._settled(waited)

    def _settled(self, waited: Delivery) -> None:
        self._out.waiting.pop(waited.waits_as, None)
        self._out.settled.add(waited.waits_as)


def _after(waited: Delivery, delivery: Delivery) -> Delivery:
    """Return *delivery* with what is known from the attempts before it."""
    told = {}
    if delivery.state is State.EXPIRED and waited.diagnostic_code:
        names = ("status", "diagnostic_code", "command", "remote_mta")
        told = {name: getattr(waited, name) for name in names}
    return delivery._replace(
        **told,
        original_recipient=delivery.original_recipient or waited.original_recipient,
        original_message_id=delivery.original_message_id or waited.original_message_id,
        attempts=waited.attempts + 1,
        first_deferred_at=waited.first_deferred_at or waited.occurred_at,
    )


def _row(key: Key, message: Message, *, whole: bool) -> list[object]:
    names = [part.decode("latin-1") for part in key]
    named = [_text(name) for name in sorted(message.named)]
    return [*names, _text(message.sender), _text(message.message_id), named, whole]


def _name(raw: bytes) -> str:
    return decoded(raw).lower()


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")
