"""
Joins lines by queue id: who sent the message that failed, and who was still waiting for it.

A pure state machine: events in, deliveries out. It keeps messages in memory as long as they are
under way; recipients that wait for another attempt are also told (`waiting`, `settled`), so that
they can be kept elsewhere for days, and given back with `adopt`.
"""

from collections.abc import Iterable, Sequence

from mtabounce.logs._clock import Clock
from mtabounce.logs._counts import Counts
from mtabounce.logs._events import (
    Attempt,
    Key,
    Kind,
    Line,
    LogFormat,
    State,
    decoded,
    key_of,
    place_of,
)
from mtabounce.logs._messages import (
    NOBODY,
    NOTHING,
    Delivery,
    Joined,
    Message,
    Names,
    domain_of,
)
from mtabounce.logs._syslog import times_of
from mtabounce.logs._underway import MESSAGES, Underway


class Join:
    """
    The messages of one log. *host* stands for that of lines that name none.

    Feed it with the lines of all formats that the log may hold, in the order of the log.
    """

    def __init__(self, clock: Clock, host: str = "", *, limit: int = MESSAGES) -> None:
        self.clock = clock
        self.underway = Underway(limit)
        self._host = host.encode()
        self._names = Names(self._host)
        self._asked: set[Key] = set()  # nothing is kept elsewhere of these but what was adopted
        self._counts = Counts(clock)
        self._out = Joined(clock=clock.at)
        self._format: LogFormat

    def adopt(self, waiting: Iterable[Delivery], asked: set[Key]) -> None:
        """Take back what is *waiting*, all there is of the messages *asked* for."""
        for one in waiting:
            key = self._key_of(one, asked)
            message = self.underway.get(key) or self.underway.add(key, Message(), whole=True)
            sender = None if one.reverse_path is None else one.reverse_path.encode()
            if message.sender not in (None, sender):
                continue  # of another message, which had this queue id before
            message.sender = sender
            message.came_with(message.message_id or one.original_message_id.encode())
            message.wait(one)
        self.underway.complete(asked)
        self._asked |= asked

    def feed(self, lines: Sequence[Line], form: LogFormat, *, asks: bool = False) -> list[Line]:
        """
        Join *lines* of the format *form*, the next of the log; return those not joined yet.

        With *asks* it stops where it must know what is kept elsewhere: see `missing`, `adopt`.
        """
        self._format = form
        known, managed = self.underway.whole.get, self.underway.managed.add
        places = self.underway.places
        left = iter(lines)
        for line in left:
            stamp, place, _, _, repeated, queue_id, recipient, path, relay, sender, told, rest = (
                line
            )
            key = place + queue_id
            message = known(key)
            if message is None and not told:
                if asks and self._must_ask(key, line):
                    return [line, *left]
                message = self.underway.partial.get(key)
            if recipient:
                self._sent(key, message, stamp, recipient, path, relay, repeated)
            elif told:
                places[place] = None
                managed(place)
                self._began(key, message, sender, told)
            elif sender:
                self._came(key, message, sender[1:])
            elif rest:
                self._closely(key, message, stamp, rest, repeated)
            else:
                self._end(key, message)
        self.underway.shrink()
        return []

    def missing(self, lines: Iterable[Line]) -> set[Key]:
        """Return the messages of *lines* of which more may be kept elsewhere."""
        begun: dict[Key, Line] = {}
        for line in lines:
            begun.setdefault(line[1] + line[5], line)
        return {key for key, line in begun.items() if not line[10] and self._must_ask(key, line)}

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
        out.counts = self._counts.take()
        self._asked.clear()  # what waits is kept elsewhere from now on
        return out

    def _key_of(self, one: Delivery, asked: set[Key]) -> Key:
        names = (one.instance.encode(), one.queue_id.encode())
        key = key_of(one.host.encode(), *names)
        return key if key in asked or one.host.encode() != self._host else key_of(b"", *names)

    def _must_ask(self, key: Key, line: Line) -> bool:
        if key in self._asked:
            return False
        if not line[6] and not line[11].startswith(b"to="):  # no transport, but the queue manager
            self.underway.managed.add(line[1])
        return key in self.underway.partial or self.underway.look(key)[1] is None

    def _known(self, key: Key) -> tuple[Key, Message]:
        found, message = self.underway.look(key)
        return found, message or self._new(key, Message(), whole=key in self._asked)

    def _new(self, key: Key, message: Message, *, whole: bool) -> Message:
        return self.underway.add(key, message, whole=whole)

    def _end(self, key: Key, message: Message | None) -> None:
        """Forget *message*: whoever waited for what had this queue id waits no more."""
        if self.underway.whole.pop(key, None) is None:
            self.underway.drop(key)
        if message is not None and message.waiting:
            for waited in message.waiting.values():
                self._settled(waited)

    def _began(self, key: Key, message: Message | None, sender: bytes, told: bytes) -> None:
        """Note the Message-ID of a message, which has just begun, and perhaps whom it is from."""
        underway = self.underway
        if message is None and underway.partial:
            message = underway.partial.get(key)
        if message is not None:
            if not sender and self._is_of(message, told):
                message.came_with(told, self._format)
                return
            self._end(key, message)
        new = underway.whole[key] = Message(sender[1:] if sender else None, told, self._format)
        if sender and b" for " in told:
            new.named = self._format.recipients(told)

    def _is_of(self, message: Message, told: bytes) -> bool:
        return message.sender is None or message.message_id == self._format.message_id(told)

    def _came(self, key: Key, message: Message | None, sender: bytes) -> None:
        """Note whom a message is from."""
        if message is not None:
            if message.sender is None:
                message.sender = sender
            if message.sender == sender:
                return
            self._end(key, message)
        self._new(key, Message(sender), whole=key in self._asked)

    def _sent(
        self,
        key: Key,
        message: Message | None,
        stamp: bytes,
        recipient: bytes,
        path: bytes,
        relay: bytes,
        repeated: bytes,
    ) -> None:
        if message is None:
            message = self._known(key)[1]
        sender = message.sender
        if sender is None:
            sender = message.sender = path[4:] if path else None
        if message.named or message.waiting is not NOBODY:
            self._arrived(message, recipient, b"")
        times = times_of(repeated) if repeated else 1
        out = self._out
        out.attempts += times
        domain = recipient[recipient.rfind(b"@") + 1 :]
        from_domain = sender[sender.rfind(b"@") + 1 :] if sender else b""
        self._counts.sent(stamp, (domain, relay, from_domain), times)
        if message.origins is not NOTHING:
            recipient = message.origins.get(recipient, recipient)
        if out.arrived.setdefault(recipient, stamp) != stamp:
            self._arrived_again(recipient, stamp)

    def _closely(
        self, key: Key, message: Message | None, stamp: bytes, rest: bytes, repeated: bytes
    ) -> None:
        kind, value = self._format.told(rest)
        if kind is Kind.DELIVERY:
            self._tried(key, stamp, value[:-1] if repeated else value, times_of(repeated))
        elif kind is Kind.SENDER:
            self._came(key, message, value)
        elif kind is Kind.EXPIRED:
            self._expired(key, stamp)
        elif kind is Kind.CANCELLED:
            self._cancelled(key, stamp, value)
        else:
            if message is not None:
                self._end(key, message)
            self._new(key, Message(), whole=True)

    def _tried(self, key: Key, stamp: bytes, rest: bytes, times: int) -> None:
        self._out.attempts += times
        attempt = self._format.attempt(rest)
        if attempt is None:
            self._out.unreadable += 1
            return
        if attempt.state is State.NOTED:
            return
        key, message = self._known(key)
        if attempt.reverse_path is not None and message.sender is None:
            message.sender = attempt.reverse_path
        final, original = attempt.final_recipient, attempt.original_recipient
        if not self._handed_on(key, message, attempt):
            self._count(stamp, attempt, message, times)
        if attempt.state is State.SENT:
            self._arrived(message, final, original)
            if attempt.arrived:
                recipient = original or message.origins.get(final, final)
                if self._out.arrived.setdefault(recipient, stamp) != stamp:
                    self._arrived_again(recipient, stamp)
        else:
            self._failed(key, message, stamp, attempt)

    def _count(self, stamp: bytes, attempt: Attempt, message: Message, times: int) -> None:
        whom = _whom(message, attempt.final_recipient, attempt.original_recipient, attempt.relay)
        state = State.BOUNCED if attempt.state is State.EXPIRED else attempt.state
        self._counts.add(stamp, whom, state, times)

    def _arrived_again(self, recipient: bytes, stamp: bytes) -> None:
        """Keep both stamps: of several hosts in one log the last line is not the latest."""
        self._out.arrived_before.append((recipient, self._out.arrived[recipient]))
        self._out.arrived[recipient] = stamp

    def _arrived(self, message: Message, final: bytes, original: bytes) -> None:
        message.strike(original or final)
        original = original or message.origins.get(final, b"")
        waited = message.heard_of(final, original, is_over=False)
        if waited is not None:
            self._settled(waited)

    def _handed_on(self, key: Key, message: Message, attempt: Attempt) -> bool:
        """Tell whether another message of this log goes on with it: that one is counted."""
        heir = self.underway.get(place_of(key) + attempt.heir) if attempt.heir else None
        if heir is None:
            return False
        heir.inherit(message, attempt.final_recipient, attempt.original_recipient)
        return True

    def _failed(self, key: Key, message: Message, stamp: bytes, attempt: Attempt) -> None:
        final, original = attempt.final_recipient, attempt.original_recipient
        original = original or message.origins.get(final, b"")
        is_over = attempt.state is State.EXPIRED
        waited = message.heard_of(final, original, is_over=is_over)
        delivery = self._made(key, message, stamp, attempt)
        if waited is not None:
            delivery = _after(waited, delivery)
        if attempt.state is State.DEFERRED:
            message.wait(delivery)
            self.underway.somebody_waits(key)
            name = delivery.waits_as
            if waited is not None and waited.waits_as != name:
                self._settled(waited)
            self._out.waiting[name] = delivery
            self._out.settled.discard(name)
        else:
            message.strike(attempt.original_recipient or final)
            if waited is not None:
                self._settled(waited)
        self._out.deliveries.append(delivery)

    def _made(self, key: Key, message: Message, stamp: bytes, attempt: Attempt) -> Delivery:
        state, final, original, _, status, _, sender, _, _ = attempt
        said, command, remote_mta = self._format.explain(attempt)
        if sender is None:
            sender = message.sender
        place = place_of(key)
        host, instance = self._names[place]
        return Delivery(
            host,
            instance,
            decoded(key[len(place) :]),
            decoded(final),
            state,
            self.clock.at(stamp),
            decoded(original or message.origins.get(final, b"")),
            None if sender is None else decoded(sender),
            decoded(message.message_id),
            status.decode(),
            said,
            command,
            remote_mta,
            reports_itself=self._reports(sender),
        )

    def _reports(self, sender: bytes | None) -> bool:
        if sender is None:
            return False
        reporter = self._format.reporter
        return not sender or (bool(reporter) and sender.startswith(reporter.encode() + b"@"))

    def _expired(self, key: Key, stamp: bytes) -> None:
        message = self._known(key)[1]
        if not message.waiting:
            self._out.unknown_expiries += 1
        at = self.clock.at(stamp)
        for waited in message.waiting.values():
            self._out.deliveries.append(waited._replace(state=State.EXPIRED, occurred_at=at))
            self._settled(waited)
            named = (waited.final_recipient, waited.original_recipient, waited.remote_mta)
            whom = _whom(message, *(one.encode(errors="replace") for one in named))
            self._counts.add(stamp, whom, State.BOUNCED, 1)
        message.waiting = NOBODY

    def _cancelled(self, key: Key, stamp: bytes, why: bytes) -> None:
        """Fail whoever waited, or was never tried: Exim tells the sender of each, and *why*."""
        key, message = self._known(key)
        waiting = [(final.encode(), original.encode()) for final, original in message.waiting]
        named = message.named.difference(original or final for final, original in waiting)
        for waited in message.waiting.values():
            self._settled(waited)
        for final, original in [*waiting, *((one, b"") for one in sorted(named))]:
            attempt = Attempt(State.BOUNCED, final, original, b"", b"", why)
            self._count(stamp, attempt, message, 1)
            self._out.deliveries.append(self._made(key, message, stamp, attempt))
        message.waiting, message.named = NOBODY, frozenset()

    def _settled(self, waited: Delivery) -> None:
        self._out.waiting.pop(waited.waits_as, None)
        self._out.settled.add(waited.waits_as)


def _whom(
    message: Message, final: bytes, original: bytes, relay: bytes
) -> tuple[bytes, bytes, bytes]:
    """Return what a delivery is counted by: domain, relay, domain of the sender."""
    recipient = final if b"@" in final else original
    return domain_of(recipient), relay.partition(b"[")[0], domain_of(message.sender)


def _after(waited: Delivery, delivery: Delivery) -> Delivery:
    """Return *delivery* with what is known from the attempts before it."""
    told, original = delivery[9:13], delivery.original_recipient or waited.original_recipient
    if delivery.state is State.EXPIRED and waited.diagnostic_code:
        # Exim names an alias in the middle here, where it named the address that was mailed before.
        told, original = waited[9:13], waited.original_recipient or original
    return Delivery(
        *delivery[:6],
        original,
        delivery.reverse_path,
        delivery.original_message_id or waited.original_message_id,
        *told,  # status, text, command, remote MTA
        waited.attempts + 1,
        waited.first_deferred_at or waited.occurred_at,
        delivery.reports_itself,
    )
