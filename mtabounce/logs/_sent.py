"""Joins as _join does, and also notes to whom each message went: what most do not need."""

from mtabounce.logs._events import Key
from mtabounce.logs._join import Join
from mtabounce.logs._messages import Message


class SentJoin(Join):
    """A join that tells of what was sent, too."""

    _stamp = b""  # of the line that is read

    def _sent(
        self, key: Key, message: Message | None, stamp: bytes, recipient: bytes, *rest: bytes
    ) -> None:
        super()._sent(key, message, stamp, recipient, *rest)
        self._stamp = stamp
        known = message or self.underway.look(key)[1]
        if known is not None:
            self._note(known, known.origins.get(recipient, recipient))

    def _tried(self, key: Key, stamp: bytes, rest: bytes, times: int) -> None:
        self._stamp = stamp
        super()._tried(key, stamp, rest, times)

    def _arrived(self, message: Message, final: bytes, original: bytes) -> None:
        super()._arrived(message, final, original)
        if self._stamp:
            self._note(message, original or message.origins.get(final, final))

    def _note(self, message: Message, recipient: bytes) -> None:
        if message.sender != b"" and message.message_id:  # bounces go to nobody's readers
            self._out.sent[message.message_id, recipient] = self._stamp
