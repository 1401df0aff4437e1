"""The mail that follows DATA (RFC 5321 §4.5.2), collected in chunks as they come."""

_END = b"\r\n.\r\n"  # nothing else ends it: a bare LF is content (CVE-2024-27305)


class Collector:
    """
    Collects one mail, until the lone dot.

    Beyond *limit* bytes it keeps nothing but the last few, to find the end all the same.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit  # bytes of the mail, without the dots that the client added
        self.seen = 0  # bytes
        self.is_too_large = False
        self._room = limit + limit // 8 + 65_536  # added dots do not count against the limit
        self._data = bytearray(b"\r\n")  # so that a dot in the first line is like any other

    def feed(self, chunk: bytes | bytearray) -> bytes | None:
        """Take *chunk*; return what followed the end of the mail, None before the end."""
        start = max(0, len(self._data) - len(_END) + 1)
        self._data += chunk
        self.seen += len(chunk)
        end = self._data.find(_END, start)
        if end < 0:
            if len(self._data) > self._room:
                self.is_too_large = True
                del self._data[: 1 - len(_END)]
            return None
        rest = bytes(self._data[end + len(_END) :])
        del self._data[end + 2 :]
        return rest

    def content(self) -> bytes | None:
        """Return the mail as it was before it got dots, or None where it is too large."""
        if self.is_too_large:
            return None
        content = bytes(self._data.replace(b"\r\n.", b"\r\n")[2:])
        return content if len(content) <= self.limit else None
