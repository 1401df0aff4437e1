"""
Logs of mail servers: from bytes to deliveries that failed. A format is one module of this folder.

    reader = LogReader(latest=…)
    for chunk in chunks:            # of whole lines
        for delivery in reader.read(chunk).deliveries:
            report_of(delivery)

Pure: no file, no clock, no database.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from functools import cache

from mtabounce.logs._clock import Clock
from mtabounce.logs._events import Key, Line, LogFormat, State, parts_of
from mtabounce.logs._join import Join
from mtabounce.logs._messages import Bucket, Delivery, Joined, Waiting
from mtabounce.logs._report import report_of
from mtabounce.logs._sent import SentJoin
from mtabounce.logs._syslog import from_journal, is_journal
from mtabounce.logs._underway import MESSAGES
from mtabounce.logs._wrapped import unwrapped
from mtabounce.registry import discover

__all__ = [
    "Bucket",
    "Delivery",
    "Joined",
    "Key",
    "LogFormat",
    "LogReader",
    "Scanned",
    "State",
    "Waiting",
    "formats",
    "parts_of",
    "report_of",
]


@cache
def formats() -> dict[str, LogFormat]:
    """Return the log formats by name."""
    return discover(__name__, LogFormat)


@dataclass(slots=True)
class Scanned:
    """The lines of some chunks, taken apart but not joined yet."""

    lines: int = 0
    recognized: int = 0  # lines that say something of a message
    found: list[tuple[LogFormat, list[Line]]] = field(default_factory=list)


class LogReader:
    """
    Reads one log, chunk by chunk.

    *names* are the formats to look for (none: all); *latest* (aware) is when the log was last
    written to; *zone* is that of stamps without an offset, None: of this host; *host* stands for
    the host of lines that name none; *tells_sent*: what was sent is told of, too.
    """

    def __init__(
        self,
        names: Iterable[str] = (),
        *,
        latest: datetime,
        zone: tzinfo | None = None,
        host: str = "",
        limit: int = MESSAGES,
        tells_sent: bool = False,
    ) -> None:
        wanted = tuple(names) or tuple(formats())
        self._formats = [formats()[name] for name in wanted]
        kind = SentJoin if tells_sent else Join
        self.join = kind(Clock(latest, zone), host, limit=limit)

    def scan(self, chunk: bytes, before: Scanned | None = None) -> Scanned:
        """
        Find the lines of *chunk*, which must hold whole lines, that tell of messages.

        They are added to what was scanned *before* and not joined yet.
        """
        found = before or Scanned()
        found.lines += chunk.count(b"\n")
        chunk = from_journal(chunk) if is_journal(chunk) else unwrapped(chunk)
        chunk = b"\n" + _cleaned(chunk)
        for form in self._formats:
            if form.looks_like(chunk):
                told = form.lines(chunk)
                found.recognized += len(told)
                found.found.append((form, told))
        return found

    def first_at(self, chunk: bytes) -> datetime | None:
        """Return when the first line of *chunk* was written that tells of a message; None: none."""
        found = self.scan(chunk).found
        return min((self.join.clock.at(lines[0][0]) for _, lines in found if lines), default=None)

    def join_on(self, scanned: Scanned) -> set[Key]:
        """
        Join the next lines of *scanned* to all that was read before, as far as all is known.

        Return the messages of all of *scanned* of which more may be kept elsewhere: give that to
        `Join.adopt`, and go on.
        """
        form, lines = scanned.found.pop(0)
        left = self.join.feed(lines, form, asks=True)
        if left:
            scanned.found.insert(0, (form, left))
            return self.join.missing(line for _, lines in scanned.found for line in lines)
        return set()

    def feed(self, scanned: Scanned) -> None:
        """Join *scanned* to all that was read before it, whatever is kept elsewhere."""
        for form, lines in scanned.found:
            self.join.feed(lines, form)

    def read(self, chunk: bytes) -> Joined:
        """Scan and join *chunk*, and take what came of it."""
        self.feed(self.scan(chunk))
        return self.join.take()


def _cleaned(chunk: bytes) -> bytes:
    """Drop the NULs of a hole, and the returns of another system; both are rare."""
    if b"\0" in chunk:
        chunk = chunk.replace(b"\0", b"")
    return chunk.replace(b"\r\n", b"\n") if b"\r" in chunk else chunk
