"""Reads open files of one log into the database, batch by batch."""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import psycopg
from prometheus_client import Counter
from psycopg import AsyncConnection
from psycopg.errors import CheckViolation

from mtabounce.errors import StoreUnavailable, TryAgainLater
from mtabounce.logs import Joined, LogReader, Scanned
from mtabounce.pipeline.log_record import LogRecorder, Step
from mtabounce.pipeline.record import MET_ANOTHER
from mtabounce.sources._understood import Understood
from mtabounce.sources.log_settings import LogSettings
from mtabounce.store.logs import LogFile

log = logging.getLogger(__name__)

LINES = Counter("mtabounce_log_lines_total", "Lines read from logs.", ["log"])
RECOGNIZED = Counter(
    "mtabounce_log_recognized_total", "Lines of logs that say something of a message.", ["log"]
)
DELIVERIES = Counter("mtabounce_log_deliveries_total", "Attempts to deliver in logs.", ["log"])
UNREADABLE = Counter(
    "mtabounce_log_unreadable_total", "Attempts to deliver that were not understood.", ["log"]
)
LEFT_OUT = Counter(
    "mtabounce_log_left_out_lines_total", "Lines that ended a reader, a mistake of ours.", ["log"]
)
SKIPPED = Counter("mtabounce_log_skipped_lines_total", "Lines that were too long.", ["log"])

BLOCK = 64 * 1024  # bytes that are read and parsed at a time: what fits the processor's cache
READ = 4 * BLOCK  # bytes that are parsed before one asks who waits in the messages they tell of
BATCH = 16 << 20  # bytes that one transaction may hold: so much is read again after a stop …
FAILURES = 1500  # … and deliveries that failed: about a second of work, and who stops us waits
_STATE = 64 * 1024  # bytes that are read before the state is kept again …
_SHARE = 8  # … and at least so many times its size
_ROUNDS = 5  # how often a transaction that met another is tried
# Classes of SQLSTATE that a line can cause, each time: data, constraint, program limit. A table or
# a right that is missing (42) is none: all lines would be left out until somebody mends it.
_REFUSED = frozenset({"22", "23", "54"})

Connection = AsyncConnection[Any]


def is_temporary(error: Exception) -> bool:
    """Tell whether the same may go well another time: the database or a disk is away."""
    if isinstance(error, CheckViolation) and not error.diag.constraint_name:
        return True  # no check was violated: a partition is missing, for whatever line comes now
    if isinstance(error, psycopg.Error):
        return (error.sqlstate or "")[:2] not in _REFUSED
    return isinstance(error, (TryAgainLater, OSError))


def _blocks(chunk: bytes) -> Iterator[bytes]:
    """Cut *chunk* at ends of lines, into blocks of BLOCK bytes and the rest of a line."""
    start = 0
    while start < len(chunk):
        end = chunk.find(b"\n", start + BLOCK) + 1 or len(chunk)
        yield chunk[start:end]
        start = end


class Readable(Protocol):
    """A log that is being read: *known* is committed, *reached* is read."""

    known: LogFile
    reached: LogFile

    def read(self, limit: int = ..., *, to_end: bool = ..., one_line: bool = ...) -> bytes:
        """Return the whole lines that come next, and move on; b"" where there is none now."""

    def at(self, position: int, limit: int) -> bytes:
        """Return what stands at *position*, without moving on."""


class LogRun:
    """One reader of one log, and what it did not commit yet."""

    def __init__(self, settings: LogSettings, recorder: LogRecorder) -> None:
        self._settings = settings
        self._recorder = recorder
        self._label = str(settings.path)
        self._stopping = False
        self._understood = Understood(self._label)
        # One of the next lines may be more than this program, or the database, can take.
        self._careful = 0  # bytes that are read line by line …
        self._suspicious = 0  # … and that are committed line by line
        self._line = b""
        self.reset()

    def reset(self) -> None:
        """Forget all that was read."""
        self._reader = reader_of(self._settings, tells_sent=self._recorder.keeps_sent)
        self._batch = 0  # bytes that were read and not committed
        self._since_kept = 0  # bytes
        self._state_size = 0

    def be_careful(self) -> None:
        """Read the next lines one by one, and leave out the one that this program cannot take."""
        if self._careful:  # it was read well, and could not be committed
            self._suspicious = 2 * BLOCK
        self._careful = BATCH

    def stop(self) -> None:
        """Read no further: what was read can be committed."""
        self._stopping = True

    @property
    def is_full(self) -> bool:
        """Whether nothing more may be read before the next commit."""
        most = 1 if self._suspicious else BLOCK if self._careful else BATCH
        return self._stopping or self._batch >= most or self._reader.join.failures >= FAILURES

    def restore(self, rows: Iterable[LogFile], opened: Iterable[Readable]) -> None:
        """Bring back the messages that were under way. Raises OSError and DAMAGED."""
        states = [row.state for row in rows if row.state]
        if states:
            self._reader.join.underway.load(states[-1])
            self._state_size = len(states[-1])
        for one in opened:
            self._replay(one)
        self._reader.join.take()  # what came of these lines is in the database

    def _replay(self, one: Readable) -> None:
        at = one.known.state_position
        while at < one.known.position:
            data = one.at(at, min(BLOCK, one.known.position - at))
            if not data:
                return
            end = data.rfind(b"\n") + 1 or len(data)
            self._remember(data[:end])
            at += end

    def _remember(self, chunk: bytes) -> None:
        """Bring back what *chunk* says of messages, but for lines that end a reader."""
        try:
            self._reader.feed(self._reader.scan(chunk))
        except Exception:  # the line was told of when it was left out
            log.debug("%s: once more, line by line", self._label, exc_info=True)
            for line in chunk.split(b"\n"):
                with suppress(Exception):
                    self._reader.feed(self._reader.scan(line + b"\n"))

    def move_clock(self, latest: datetime) -> None:
        """Note when the log was last written to (aware)."""
        self._reader.join.clock.move(latest)

    async def read(self, conn: Connection, one: Readable, *, to_end: bool = False) -> int:
        """Read and join lines of *one* until there is none, or `is_full`; return how many bytes."""
        used = 0
        careful = self._careful > 0
        while not self.is_full and (chunk := one.read(READ, to_end=to_end, one_line=careful)):
            if careful:
                await self._try(conn, one, chunk)
            else:
                await self._read(conn, one, chunk)
            used += len(chunk)
            self._batch += len(chunk)
            self._careful = max(0, self._careful - len(chunk))
        self._since_kept += used
        return used

    async def _read(self, conn: Connection, one: Readable, chunk: bytes) -> None:
        scanned = Scanned()
        for block in _blocks(chunk):
            await asyncio.sleep(0)  # a block takes milliseconds: let others in between
            self._reader.scan(block, scanned)
        attempts, unreadable = self._reader.join.attempts
        while scanned.found:
            await asyncio.sleep(0)
            if asked := self._reader.join_on(scanned):
                self._reader.join.adopt(await self._recorder.waiting(conn, asked), asked)
        now = self._reader.join.attempts
        one.reached = replace(
            one.reached,
            lines=one.reached.lines + scanned.lines,
            recognized=one.reached.recognized + scanned.recognized,
            deliveries=one.reached.deliveries + now[0] - attempts,
            unreadable=one.reached.unreadable + now[1] - unreadable,
        )

    async def _try(self, conn: Connection, one: Readable, line: bytes) -> None:
        self._line = line
        try:
            await self._read(conn, one, line)
        except Exception as error:
            if is_temporary(error):
                raise
            self._leave_out(one)

    def _leave_out(self, one: Readable) -> None:
        """Go on after a line that ended a reader: we make mistakes, too."""
        log.exception("%s: left out, please report it: %r", self._label, self._line[:2000])
        one.reached = replace(
            one.reached,
            lines=one.reached.lines + 1,
            unreadable=one.reached.unreadable + 1,
        )
        LEFT_OUT.labels(self._label).inc()

    async def commit(
        self, conn: Connection, opened: Sequence[Readable], *, keep: bool = False
    ) -> None:
        """
        Write what was read of *opened*, the newest last, and how far; with *keep* also the state.

        Raises AnotherReader where another process was here, StoreUnavailable where other
        transactions were in the way each time.
        """
        keep = keep or self._since_kept >= max(_STATE, _SHARE * self._state_size)
        steps = self._steps(opened, keep=keep)
        joined = self._reader.join.take()
        self._batch = 0
        if not steps:
            return
        steps = self._with_trouble(joined, steps)
        try:
            await self._write(conn, joined, steps)
        except Exception as error:
            if not self._suspicious or is_temporary(error):
                raise
            steps = self._without_line(opened)
            await self._write(conn, self._reader.join.take(), steps)
        self._reader.join.underway.let_sleep()
        if keep:
            self._since_kept, self._state_size = 0, len(steps[-1].new.state)
        for one in opened:
            one.known = one.reached
        self._suspicious = max(0, self._suspicious - len(self._line))
        self._count(joined, steps)

    def _with_trouble(self, joined: Joined, steps: Iterable[Step]) -> list[Step]:
        """Let the newest file say that the log is not understood, where that is so."""
        steps = list(steps)
        lines = sum(step.new.lines - step.old.lines for step in steps)
        recognized = sum(step.new.recognized - step.old.recognized for step in steps)
        self._understood.note(lines, recognized, joined.attempts, joined.unreadable)
        return [
            replace(step, new=replace(step.new, trouble=self._understood.trouble)) for step in steps
        ]

    def _without_line(self, opened: Sequence[Readable]) -> list[Step]:
        """Return the steps over a line that cannot be committed."""
        for one in opened:
            if one.reached != one.known:
                one.reached = replace(one.reached, lines=one.known.lines)
                self._leave_out(one)
        return self._steps(opened, keep=False)

    async def _write(self, conn: Connection, joined: Joined, steps: Sequence[Step]) -> None:
        for _ in range(_ROUNDS):
            try:
                await self._recorder.commit(conn, joined, steps)
            except MET_ANOTHER as error:
                log.info("%s: once more: %s", self._label, type(error).__name__)
            else:
                return
        raise StoreUnavailable(f"{self._label}: others were in the way of a batch {_ROUNDS} times")

    def _steps(self, opened: Sequence[Readable], *, keep: bool) -> list[Step]:
        """Return how far each is to move; the newest has the state, all say where it was noted."""
        if keep:
            state = self._reader.join.underway.dump()
            for one in opened:
                one.reached = replace(
                    one.reached,
                    state=state if one is opened[-1] else b"",
                    state_position=one.reached.position,
                )
        return [  # not those of which nothing changed: many may be open
            Step(one.known, one.reached, keep)
            for one in opened
            if one.reached != one.known or (keep and one is opened[-1])
        ]

    def _count(self, joined: Joined, steps: Iterable[Step]) -> None:
        DELIVERIES.labels(self._label).inc(joined.attempts)
        UNREADABLE.labels(self._label).inc(joined.unreadable)
        for step in steps:
            LINES.labels(self._label).inc(step.new.lines - step.old.lines)
            RECOGNIZED.labels(self._label).inc(step.new.recognized - step.old.recognized)
            SKIPPED.labels(self._label).inc(step.new.skipped - step.old.skipped)


def reader_of(settings: LogSettings, *, tells_sent: bool = False) -> LogReader:
    """Return a reader for that log, as it is written to now; *tells_sent* as it knows it."""
    return LogReader(
        () if settings.format == "auto" else (settings.format,),
        latest=datetime.now(UTC),
        zone=ZoneInfo(settings.timezone) if settings.timezone else None,
        host=settings.own_host,
        tells_sent=tells_sent,
    )
