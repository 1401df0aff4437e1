"""The mail that follows DATA (RFC 5321 §4.5.2), collected in chunks as they come."""

from dataclasses import dataclass

TOO_LARGE = "552 5.3.4 message too large"
NO_ROOM = "452 4.3.1 too much mail at once, try again later"

_END = b"\r\n.\r\n"  # nothing else ends it: a bare LF is content (CVE-2024-27305)
_SLACK = 64 * 2**20  # bytes read beyond the limit, so that the sender learns why
_MODEST = 2**20  # bytes that a mail may have, however little room there is


@dataclass(slots=True)
class Room:
    """The memory that all mails together may take until they are durable."""

    limit: int  # bytes
    held: int = 0  # bytes


class Collector:
    """
    Collects one mail, until the lone dot.

    One that is too large, or that there is no room for, is read on to its end without being kept.
    """

    def __init__(self, limit: int, room: Room) -> None:
        self.seen = 0  # bytes
        self.refusal = ""  # the reply to a mail that is not kept
        self.content = b""  # the mail, once it is whole
        self._limit = limit  # bytes of the mail, without the dots that the client added
        self._room = room
        self._held = 0  # bytes, of the room
        self._data = bytearray(b"\r\n")  # so that a dot in the first line is like any other

    @property
    def is_flood(self) -> bool:
        """Whether so much came that there is no use in reading on."""
        return self.seen > self._limit + _SLACK

    def feed(self, chunk: bytes) -> bytes | None:
        """Take *chunk*; return what followed the end of the mail, None before the end."""
        self._data += chunk
        self._hold(len(chunk))
        end = self._data.find(_END, max(0, len(self._data) - len(chunk) - len(_END) + 1))
        if end < 0:
            return None
        rest = bytes(self._data[end + len(_END) :])
        self.seen -= len(rest)
        del self._data[end + 2 :]
        self._finish()
        return rest

    def release(self) -> None:
        """Give the room back."""
        self._room.held -= self._held
        self._held = 0

    def _hold(self, size: int) -> None:
        self.seen += size
        if not self.refusal:
            self._held += size
            self._room.held += size
            if self._held > self._limit + self._limit // 8 + _MODEST:  # leaves room for dots
                self.refusal = TOO_LARGE
            elif self._room.held > self._room.limit and self._held > _MODEST:
                self.refusal = NO_ROOM
        if self.refusal:
            self.release()
            del self._data[: -(size + len(_END))]  # the end may stand across two chunks

    def _finish(self) -> None:
        """Take away the dots that the client added."""
        if self.refusal:
            return
        if b"\r\n." in self._data:
            self._data = self._data.replace(b"\r\n.", b"\r\n")
        self.content = bytes(memoryview(self._data)[2:])
        self._data = bytearray()
        if len(self.content) > self._limit:
            self.refusal = TOO_LARGE
