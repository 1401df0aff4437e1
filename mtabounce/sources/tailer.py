"""
Follows logs: a delivery that failed is a row moments after its line was written, exactly once.

A log file is its own inbox: what was read and how far is one transaction. Whatever goes wrong in
between, the reader begins again from what the database says; the files stay open meanwhile, so
that a rotation does not take them away.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_client import Counter, Gauge
from psycopg import AsyncConnection

from mtabounce.errors import TryAgainLater
from mtabounce.pipeline.log_record import AnotherReader, LogRecorder
from mtabounce.sources._holding import Found, Waiting, held, inode_of
from mtabounce.sources._log_run import LogRun, is_temporary
from mtabounce.sources._log_settings import LogSettings
from mtabounce.sources._pace import Pace
from mtabounce.sources._reading import OpenLog, begin
from mtabounce.sources._rotation import find, known_as, missed, read_at, siblings
from mtabounce.sources._watch import Watch
from mtabounce.store import logs as store
from mtabounce.store.logs import LogFile

log = logging.getLogger(__name__)

LOST = Counter(
    "mtabounce_log_lost_files_total",
    "Files of logs that were gone, or cut off, before they were read to their end.",
    ["log"],
)
BEHIND = Gauge("mtabounce_log_behind_bytes", "Bytes that are written and not read yet.", ["log"])

LINGER = 60.0  # seconds that a writer may keep a renamed file open and silent
QUICK, SLOW = 0.05, 1.0  # seconds between two looks at a log that is busy, and that is not
STILL = 300.0  # seconds that lines may wait before that is an error
BUSY = 30.0  # seconds after its last line that a log counts as busy
PAUSE = 1.0  # seconds before the next try where something is away

Connection = AsyncConnection[Any]
Connect = Callable[[], Awaitable[Connection]]


class Tailer:
    """
    Follows one log. Start run() in a task; it ends some time after stop().

    *linger* (seconds) is how long a renamed file may be silent before it is done with.
    """

    def __init__(
        self,
        settings: LogSettings,
        connect: Connect,
        recorder: LogRecorder,
        *,
        linger: float = LINGER,
    ) -> None:
        self._settings = settings
        self._path = settings.path
        self._label = str(settings.path)
        self._connect = connect
        self._linger = linger
        self._run = LogRun(settings, recorder)
        self._wake = asyncio.Event()
        self._stopping = False
        self._open: list[OpenLog] = []  # the oldest first
        self._waiting = Waiting()
        self._busy_at = self._moved_at = time.monotonic()
        self._complaint = ""
        self._pace = Pace(self._label)

    @property
    def name(self) -> str:
        """What the log is known by in the database."""
        return self._settings.name

    def stop(self) -> None:
        """Read no further; run() returns when what was read is committed."""
        self._stopping = True
        self._run.stop()
        self._wake.set()

    async def run(self, *, until_idle: bool = False) -> None:
        """Follow the log until stop(); with *until_idle*, until nothing more is in it."""
        watch = Watch([self._path], self._wake)
        try:
            while not self._stopping:
                try:
                    async with await self._connect() as conn:
                        await self._follow(conn, watch, until_idle=until_idle)
                        return
                except Exception as error:
                    if not is_temporary(error):
                        self._run.be_careful()
                        raise
                    if isinstance(error, AnotherReader):
                        self._moved_at = time.monotonic()  # it is read, though not here
                    self._complain(str(error).partition("\n")[0] or type(error).__name__)
                    await self._pause()
        finally:
            watch.close()
            for one in self._open:
                one.close()
            self._open = []
            self._waiting.close()

    async def _pause(self) -> None:
        """Let some time pass, and hold what comes: it may be rotated away before it is read."""
        until = time.monotonic() + PAUSE
        while not self._stopping and (left := until - time.monotonic()) > 0:
            self._waiting.hold(self._path, {one.inode for one in self._open})
            await self._wait(left)

    def standing(self) -> str:
        """Return why nothing is read though there is something to be read; empty: all is well."""
        now, behind = time.monotonic(), self._behind()
        if not any(one.waits for one in self._open) and (self._open or not behind):
            self._moved_at = now
        minutes = (now - self._moved_at) / 60
        if now - self._moved_at < STILL:
            return ""
        why = f": {self._complaint}" if self._complaint else ""
        return f"it grows, and nothing was read for {minutes:.0f} minutes{why}"

    def _behind(self) -> int:
        """Return how many bytes wait; where nothing could be opened yet, all of them do."""
        behind = sum(one.behind for one in self._open)
        if not self._open:
            with suppress(OSError):
                behind = self._path.stat().st_size
        BEHIND.labels(self._label).set(behind)
        return behind

    async def _follow(self, conn: Connection, watch: Watch, *, until_idle: bool) -> None:
        if not await store.own(conn, self._settings.name):
            raise AnotherReader(f"{self._path}: another process follows it")
        await self._find(conn)
        while True:
            watch.refresh()
            progress = await self._round(conn)
            if self._stopping or (until_idle and not progress):
                await self._run.commit(conn, self._open, keep=True)
                return
            if not progress:
                busy = time.monotonic() - self._busy_at < BUSY
                await self._wait(QUICK if busy else SLOW)

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass
        if not self._stopping:
            self._wake.clear()

    def _complain(self, text: str) -> None:
        """Log what is wrong, once until it is well again."""
        if text != self._complaint:
            self._complaint = text
            log.warning("log %s: %s", self._path, text)

    async def _round(self, conn: Connection) -> bool:
        """Read what there is, at most one batch; return whether there was anything."""
        self._run.move_clock(datetime.now(UTC))
        if await self._lose_others(conn):
            return True
        begun = [one.reached for one in self._open]
        for one in self._open:
            if await self._run.read(conn, one):
                one.quiet_since = time.monotonic()
            if self._run.is_full:  # what follows in another file comes after the rest of this one
                break
        progress = [one.reached for one in self._open] != begun
        if progress:
            if any(one.is_other() for one in self._open):
                raise TryAgainLater("it was truncated while it was read")
            await self._run.commit(conn, self._open)
            self._busy_at = self._moved_at = time.monotonic()
            self._complaint = ""
        self._pace.note(self._behind())
        return await self._look_around(conn) or progress

    async def _find(self, conn: Connection) -> None:
        """Open what the database says was being read, wherever it is now, and what came since."""
        self._run.reset()
        rows = await store.log_files(conn, self._settings.name)
        held = {one.known.id: one for one in self._open}
        self._open = []
        try:
            await self._find_known(conn, rows, held)
        except BaseException:
            self._open += held.values()  # not to be closed: their names may be gone
            raise
        for left in held.values():
            left.close()
        self._run.restore(rows, self._open)
        await self._begin_new(conn, rows)

    async def _find_known(
        self, conn: Connection, rows: Iterable[LogFile], held: dict[int, OpenLog]
    ) -> None:
        places = [self._path, *siblings(self._path)]
        for row in rows:
            if row.finished:
                continue
            one = held.pop(row.id, None)
            if one is not None:
                one.return_to(row)
            else:
                one = self._located(row, places)
            if one is None:
                await self._lose(conn, row)
            else:
                self._open.append(one)

    def _located(self, row: LogFile, places: Iterable[Path]) -> OpenLog | None:
        found = find(row, places)
        if found is None:
            return None
        place, file = found
        one = OpenLog(row, file)
        device, inode = one.inode
        one.reached = replace(row, path=str(place), device=device, inode=inode)
        return one

    async def _begin_new(
        self, conn: Connection, rows: Sequence[LogFile], newest: Iterable[Found] = ()
    ) -> None:
        """Open what came while nobody looked: what was held, and rotated files that are unknown."""
        at_end = not rows and self._settings.start == "end"
        if at_end:
            self._waiting.close()
        found = list(newest)
        inodes = {one.inode for one in self._open}
        found += self._waiting.take(inodes | {inode_of(one.file) for one in found})
        inodes |= {inode_of(one.file) for one in found}
        try:
            if rows:
                found += missed(self._path, rows, inodes, self._known_until())
            found.sort(key=lambda one: one.modified_at)
            while found:
                await self._begin(conn, found[0], at_end=at_end)
                del found[0]
        except BaseException:
            self._waiting.take_back(found)  # their names may be gone by the next try
            raise

    def _known_until(self) -> int | None:
        """
        Return when, in nanoseconds, the newest file that is open was written to and read.

        What is written to it after it was renamed does not make others older. None: none is open.
        """
        if not self._open:
            return None
        written_at = max(one.modified_at for one in self._open)
        return min(written_at, max(read_at(one.known) for one in self._open))

    async def _begin(self, conn: Connection, new: Found, *, at_end: bool) -> None:
        one = fresh = begin(self._settings.name, new.path, "tail", new.file)
        try:
            async with conn.transaction():
                await store.lock_log_files(conn)
                one = await self._taken_over(conn, new.path, fresh) or fresh
                if at_end and not one.reached.position:
                    one.skip_to_end()
                one.return_to(await store.add_log_file(conn, one.reached))
        except BaseException:
            if one is not fresh:
                one.close()
            raise
        if one is not fresh:
            fresh.close()
        self._open.append(one)

    async def _taken_over(self, conn: Connection, place: Path, fresh: OpenLog) -> OpenLog | None:
        """Go on where an import was in the same file, and let it read no further there."""
        known = known_as(place, await store.log_files(conn, reader="import"))
        found = find(known, [place]) if known is not None else None
        if known is None or found is None:
            return None
        with ExitStack() as unless_taken:
            unless_taken.enter_context(found[1])
            if inode_of(found[1]) != fresh.inode:
                return None
            await store.forget_log_file(conn, known)
            unless_taken.pop_all()
        begun = replace(
            fresh.known,
            position=known.position,
            before=known.before,
            head=known.head,
            head_length=known.head_length,
            skipping=known.skipping,
            state_position=known.position,
        )
        return OpenLog(begun, found[1])

    async def _look_around(self, conn: Connection) -> bool:
        """Open what has taken the path, and be done with what has not been written to for long."""
        try:
            seen = self._path.stat()
            inode = (seen.st_dev, seen.st_ino)
            if not any(one.inode == inode for one in self._open):
                await self._open_new(conn)
                return True
        except OSError as error:
            inode = None
            self._complain(error.strerror or str(error))
        return await self._end_old(conn, inode)

    async def _open_new(self, conn: Connection) -> None:
        rows = await store.log_files(conn, self._settings.name)
        newest = held(self._path)  # before one looks what was rotated: it may be, in between
        await self._begin_new(conn, rows, [newest])

    async def _end_old(self, conn: Connection, inode: tuple[int, int] | None) -> bool:
        now = time.monotonic()
        over = [
            one
            for one in self._open
            if one.inode != inode
            and (not one.is_plain or now - one.quiet_since > self._linger)
            and len(self._open) > 1
        ]
        ended = []
        for one in over:
            await self._run.read(conn, one, to_end=True)
            if self._run.is_full:
                break
            one.reached = replace(one.reached, finished=True)
            ended.append(one)
        if over:
            await self._run.commit(conn, self._open, keep=bool(ended))
        for one in ended:
            self._close(one)
        return bool(over)

    def _close(self, one: OpenLog) -> None:
        """Be done with a file that was read to its end, and say where that was too early."""
        self._open.remove(one)
        one.close()
        if one.damage:
            LOST.labels(self._label).inc()
            log.error("%s: what follows its last line is lost: %s", one.known.path, one.damage)

    async def _lose_others(self, conn: Connection) -> bool:
        """Give up a file that was truncated: what was left of it may be in a copy."""
        for one in self._open:
            if one.is_other():
                self._open.remove(one)
                one.close()
                copy = self._located(one.known, [self._path, *siblings(self._path)])
                if copy is None:
                    await self._lose(conn, one.known)
                else:
                    self._open.insert(0, copy)
                return True
        return False

    async def _lose(self, conn: Connection, row: LogFile) -> None:
        if not row.head_length:  # it was empty when it was last seen: what came is found as new
            await store.move(conn, row, replace(row, finished=True))
            return
        LOST.labels(self._label).inc()
        log.error(
            "log %s: what was read up to byte %d is gone or was cut off:"
            " lines may have been lost; rotate by rename, not by copytruncate",
            self._path,
            row.position,
        )
        await store.move(conn, row, replace(row, finished=True))
