"""The messages of one log that are under way, in memory and on their way through a restart."""

import zlib
from collections.abc import Iterable, Iterator
from itertools import islice

from mtabounce.logs._events import Key, parts_of, place_of
from mtabounce.logs._messages import Message

AWAKE = 1_000  # messages of those for which somebody waits: the next attempt may be near
MESSAGES = 50_000  # so many are kept in memory; the oldest go first, about 400 bytes each
_MANAGED = b"="  # marks a place that has a queue of its own
_CAME_FROM = b"\1"  # between a recipient and the one that it was before
_UNKNOWN = b"?"  # a sender, where it is not known; all others have a "<" in front


class Underway:
    """
    Messages by key, no more than *limit*.

    *whole* are those of which all is known here; of *partial* ones more may be kept elsewhere.
    """

    def __init__(self, limit: int = MESSAGES) -> None:
        self.whole: dict[Key, Message] = {}
        self.partial: dict[Key, Message] = {}
        self.places: dict[bytes, None] = {}  # how the keys of this log begin
        self.managed: set[bytes] = set()  # those of them that have a queue of their own
        self._limit = limit
        self._sleepers: dict[Key, None] = {}

    def add(self, key: Key, message: Message, *, whole: bool) -> Message:
        """Keep *message* in the place of another of that name; return it."""
        self.drop(key)
        self.places[place_of(key)] = None
        (self.whole if whole else self.partial)[key] = message
        return message

    def drop(self, key: Key) -> None:
        """Forget a message, or do nothing."""
        if self.whole.pop(key, None) is None:
            self.partial.pop(key, None)

    def get(self, key: Key) -> Message | None:
        """Return the message that is known by exactly *key*."""
        return self.whole.get(key) or self.partial.get(key)

    def look(self, key: Key) -> tuple[Key, Message | None]:
        """Find a message; a transport may log under a name that its queue manager has not."""
        message = self.get(key)
        if message is None and place_of(key) not in self.managed:
            host, _, queue_id = parts_of(key)
            for place in self.places:
                if place.startswith(host + b" ") and (found := self.get(place + queue_id)):
                    return place + queue_id, found
        return key, message

    def complete(self, keys: Iterable[Key]) -> None:
        """Note that nothing is kept elsewhere of the messages *keys*, but what was brought."""
        for key in keys:
            message = self.partial.pop(key, None)
            if message is not None:
                self.whole[key] = message

    def shrink(self) -> None:
        """Forget the oldest messages, above the limit."""
        for messages in (self.whole, self.partial):
            for _ in range(len(messages) - self._limit):
                key = next(iter(messages))
                message = messages.pop(key)
                if message.waiting:  # perhaps not kept elsewhere yet: to the end of the queue
                    messages[key] = message

    def somebody_waits(self, key: Key) -> None:
        """Note that somebody waits for the message *key*."""
        self._sleepers[key] = None

    def let_sleep(self, awake: int = AWAKE) -> None:
        """Forget messages for which somebody waits, but *awake*: they are kept elsewhere now."""
        for key in list(islice(self._sleepers, max(0, len(self._sleepers) - awake))):
            del self._sleepers[key]
            message = self.get(key)
            if message is not None and message.waiting and not message.named:
                self.drop(key)

    def dump(self) -> bytes:
        """Return the messages for which nobody waits, for `load`."""
        return zlib.compress(b"\n".join(self._rows()), 1)

    def _rows(self) -> Iterator[bytes]:
        for place in self.managed:
            yield _MANAGED + place
        for mark, messages in ((b"+", self.whole), (b"-", self.partial)):
            for key, one in messages.items():
                if not one.waiting:  # the others are asked for again
                    sender = _UNKNOWN if one.sender is None else b"<" + one.sender
                    origins = (_CAME_FROM.join(pair) for pair in one.origins.items())
                    yield b"\0".join((mark + key, sender, one.message_id, *one.named, *origins))

    def load(self, dumped: bytes) -> None:
        """Take back what `dump` gave. Raises ValueError where it is something else."""
        try:
            rows = zlib.decompress(dumped).split(b"\n")
        except zlib.error as error:
            raise ValueError(f"the state of a log is damaged: {error}") from error
        for row in filter(None, rows):
            if row.startswith(_MANAGED):
                self.managed.add(row[1:])
                continue
            key, sender, message_id, *names = row.split(b"\0")
            message = Message(None if sender == _UNKNOWN else sender[1:], message_id)
            if named := frozenset(name for name in names if _CAME_FROM not in name):
                message.named = named
            pairs = [name.split(_CAME_FROM, 1) for name in names if _CAME_FROM in name]
            if pairs:
                message.origins = dict(pairs)
            self.add(key[1:], message, whole=key[:1] == b"+")
