"""Reads open files of one log into the database, batch by batch."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

import psycopg
from prometheus_client import Counter
from psycopg import AsyncConnection
from psycopg.errors import DeadlockDetected, SerializationFailure

from mtabounce.errors import StoreUnavailable, TryAgainLater
from mtabounce.logs import Joined
from mtabounce.pipeline.log_record import LogRecorder, Step
from mtabounce.pipeline.record import AnotherWasFirst
from mtabounce.sources._log_settings import LogSettings
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

BLOCK = 128 * 1024  # bytes that are read and parsed at a time: what fits the processor's cache
BATCH = 16 << 20  # bytes that one transaction may hold …
FAILURES = 2000  # … and deliveries that failed: about a second of work, and who stops us waits
STRANGE = 1000  # lines of which none is understood: that is no log of ours
_STATE = 64 * 1024  # bytes that are read before the state is kept again …
_SHARE = 8  # … and at least so many times its size
_ROUNDS = 5  # how often a transaction that met another is tried
_MET_ANOTHER = (AnotherWasFirst, DeadlockDetected, SerializationFailure)

Connection = AsyncConnection[Any]


class Readable(Protocol):
    """A log that is being read: *known* is committed, *reached* is read."""

    known: LogFile
    reached: LogFile

    def read(self, limit: int = ..., *, to_end: bool = ...) -> bytes:
        """Return the whole lines that come next, and move on; b"" where there is none now."""

    def at(self, position: int, limit: int) -> bytes:
        """Return what stands at *position*, without moving on."""


class LogRun:
    """One reader of one log, and what it did not commit yet."""

    def __init__(self, settings: LogSettings, recorder: LogRecorder, *, batch: int = BATCH) -> None:
        self._settings = settings
        self._recorder = recorder
        self._label = str(settings.path)
        self._most = batch
        self._stopping = False
        self._strange = False
        self.careful = False  # one line of the next ones may be more than this program can take
        self.reset()

    def reset(self) -> None:
        """Forget all that was read."""
        self._reader = self._settings.reader()
        self._batch = 0  # bytes that were read and not committed
        self._since_kept = 0  # bytes
        self._state_size = 0

    def stop(self) -> None:
        """Read no further: what was read can be committed."""
        self._stopping = True

    @property
    def is_full(self) -> bool:
        """Whether nothing more may be read before the next commit."""
        most = BLOCK if self.careful else self._most
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
            for line in chunk.splitlines(keepends=True):
                with suppress(Exception):
                    self._reader.feed(self._reader.scan(line))

    def move_clock(self, latest: datetime) -> None:
        """Note when the log was last written to (aware)."""
        self._reader.join.clock.move(latest)

    async def read(self, conn: Connection, one: Readable, *, to_end: bool = False) -> int:
        """Read and join lines of *one* until there is none, or `is_full`; return how many bytes."""
        used = 0
        while not self.is_full and (chunk := one.read(BLOCK, to_end=to_end)):
            await asyncio.sleep(0)  # a block takes milliseconds: let others in between
            if self.careful:
                await self._each(conn, one, chunk)
            else:
                await self._read(conn, one, chunk)
            used += len(chunk)
            self._batch += len(chunk)
        self._since_kept += used
        return used

    async def _read(self, conn: Connection, one: Readable, chunk: bytes) -> None:
        scanned = self._reader.scan(chunk)
        attempts, unreadable = self._reader.join.attempts
        while asked := self._reader.join_on(scanned):
            self._reader.join.adopt(await self._recorder.waiting(conn, asked), asked)
        now = self._reader.join.attempts
        one.reached = replace(
            one.reached,
            lines=one.reached.lines + scanned.lines,
            recognized=one.reached.recognized + scanned.recognized,
            deliveries=one.reached.deliveries + now[0] - attempts,
            unreadable=one.reached.unreadable + now[1] - unreadable,
        )

    async def _each(self, conn: Connection, one: Readable, chunk: bytes) -> None:
        """Read *chunk* line by line, and leave out what ended a reader: we make mistakes, too."""
        for line in chunk.splitlines(keepends=True):
            try:
                await self._read(conn, one, line)
            except (psycopg.Error, TryAgainLater):
                raise
            except Exception:
                log.exception("%s: left out, please report it: %r", self._label, line[:2000])
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

        Raises AnotherReader where another process was here, StoreUnavailable where the transaction
        met others again and again.
        """
        keep = keep or self._since_kept >= max(_STATE, _SHARE * self._state_size)
        steps = self._steps(opened, keep=keep)
        joined = self._reader.join.take()
        self._batch = 0
        if not steps:
            return
        await self._write(conn, joined, steps)
        self._reader.join.underway.let_sleep()
        if keep:
            self._since_kept, self._state_size = 0, len(steps[-1].new.state)
        for one in opened:
            one.known = one.reached
        self.careful = False
        self._count(joined, steps)

    async def _write(self, conn: Connection, joined: Joined, steps: Sequence[Step]) -> None:
        for _ in range(_ROUNDS):
            try:
                await self._recorder.commit(conn, joined, steps)
            except _MET_ANOTHER as error:
                log.info("%s: once more: %s", self._label, type(error).__name__)
            else:
                return
        raise StoreUnavailable(f"{self._label}: a batch met others {_ROUNDS} times")

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
        return [
            Step(one.known, one.reached, keep) for one in opened if keep or one.reached != one.known
        ]

    def _count(self, joined: Joined, steps: Iterable[Step]) -> None:
        DELIVERIES.labels(self._label).inc(joined.attempts)
        UNREADABLE.labels(self._label).inc(joined.unreadable)
        for step in steps:
            LINES.labels(self._label).inc(step.new.lines - step.old.lines)
            RECOGNIZED.labels(self._label).inc(step.new.recognized - step.old.recognized)
            SKIPPED.labels(self._label).inc(step.new.skipped - step.old.skipped)
            if step.new.lines >= STRANGE and not step.new.recognized and not self._strange:
                self._strange = True
                log.error(
                    "%s: of %d lines not one was understood: is it the log of Postfix or Exim?",
                    self._label,
                    step.new.lines,
                )
