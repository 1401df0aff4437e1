"""
Follows logs: a delivery that failed is a row moments after its line was written, exactly once.

A log file is its own inbox: what was read and how far is one transaction. Whatever goes wrong in
between, the reader begins again from what the database says; the files stay open meanwhile, so
that a rotation does not take them away.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from prometheus_client import Gauge
from psycopg import AsyncConnection

from mtabounce.errors import TryAgainLater
from mtabounce.pipeline.log_record import AnotherReader, LogRecorder
from mtabounce.sources._files import Files
from mtabounce.sources._log_run import LogRun, is_temporary
from mtabounce.sources._pace import Pace
from mtabounce.sources._reading import OpenLog
from mtabounce.sources._watch import Watch
from mtabounce.sources.log_settings import LogSettings
from mtabounce.store import logs as store

log = logging.getLogger(__name__)

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

    *linger* (seconds) is how long a renamed file is watched for a late line; None: LINGER.
    """

    def __init__(
        self,
        settings: LogSettings,
        connect: Connect,
        recorder: LogRecorder,
        *,
        linger: float | None = None,
    ) -> None:
        self._settings = settings
        self._path = settings.path
        self._label = str(settings.path)
        self._connect = connect
        self._linger = LINGER if linger is None else linger
        self._run = LogRun(settings, recorder)
        self._wake = asyncio.Event()
        self._stopping = False
        self._files = Files(settings)
        self._is_idle = False
        self._busy_at = self._moved_at = time.monotonic()
        self._complaint = ""
        self._is_refused = False  # by the permissions of a file
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
        holding = asyncio.create_task(self._hold())
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
                    self._complain(error)
                    await self._pause()
        finally:
            holding.cancel()
            watch.close()
            self._files.close()

    async def _pause(self) -> None:
        """Let some time pass, and hold what comes meanwhile."""
        until = time.monotonic() + PAUSE
        while not self._stopping and (left := until - time.monotonic()) > 0:
            self._files.hold()
            await self._wait(left)

    async def _hold(self) -> None:
        """Hold what comes while we are busy, or the database is: it may be rotated away."""
        while True:
            if not self._is_idle:
                self._files.hold()
            await asyncio.sleep(QUICK)

    def standing(self) -> str:
        """Return why nothing is read though there is something to be read; empty: all is well."""
        now, behind = time.monotonic(), self._behind()
        if not any(one.waits for one in self._files.open) and (self._files.open or not behind):
            self._moved_at = now
        if self._is_refused:
            return self._complaint
        minutes = (now - self._moved_at) / 60
        if now - self._moved_at < STILL:
            return ""
        why = f": {self._complaint}" if self._complaint else ""
        return f"it grows, and nothing was read for {minutes:.0f} minutes{why}"

    def _behind(self) -> int:
        """Return how many bytes wait; where nothing could be opened yet, all of them do."""
        behind = sum(one.behind for one in self._files.open)
        if not self._files.open:
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
            if self._stopping or (until_idle and not progress and not self._files.are_more):
                await self._run.commit(conn, self._files.open, keep=True)
                return
            if not progress:
                busy = time.monotonic() - self._busy_at < BUSY
                self._is_idle = True
                await self._wait(QUICK if busy else SLOW)
                self._is_idle = False

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass
        if not self._stopping:
            self._wake.clear()

    def _said(self, error: Exception) -> str:
        if isinstance(error, OSError) and error.strerror:
            is_another = error.filename and str(error.filename) != self._label
            return f"{error.filename}: {error.strerror}" if is_another else error.strerror
        return str(error).partition("\n")[0] or type(error).__name__

    def _complain(self, error: Exception) -> None:
        """Log what is wrong, once until it is well again."""
        self._is_refused = isinstance(error, PermissionError)
        text = self._said(error)
        if text != self._complaint:
            self._complaint = text
            log.warning("log %s: %s", self._path, text)

    async def _round(self, conn: Connection) -> bool:
        """Read what there is, at most one batch; return whether there was anything."""
        self._run.move_clock(datetime.now(UTC))
        if await self._files.lose_others(conn):
            return True
        begun = [one.reached for one in self._files.open]
        for one in self._files.open:
            await self._run.read(conn, one)
            if self._run.is_full:  # what follows in another file comes after the rest of this one
                break
        progress = [one.reached for one in self._files.open] != begun
        if progress:
            if any(one.is_other() for one in self._files.open):
                raise TryAgainLater("it was truncated while it was read")
            await self._run.commit(conn, self._files.open)
            self._busy_at = self._moved_at = time.monotonic()
            self._complaint = ""
        self._is_refused = False
        self._pace.note(self._behind())
        return await self._look_around(conn) or progress

    async def _find(self, conn: Connection) -> None:
        """Open what the database says was being read, wherever it is now, and what came since."""
        self._run.reset()
        rows = await store.log_files(conn, self._settings.name)
        await self._files.find_known(conn, rows)
        self._run.restore(rows, self._files.open)
        await self._files.begin_new(conn, rows)

    async def _look_around(self, conn: Connection) -> bool:
        """Open what has taken the path, and be done with what has not been written to for long."""
        await self._files.come_back(conn)
        try:
            seen = self._path.stat()
            inode = (seen.st_dev, seen.st_ino)
            if not any(one.inode == inode for one in self._files.open):
                before = len(self._files.open)
                await self._files.open_new(conn)
                if len(self._files.open) > before:
                    return True
        except OSError as error:
            inode = None
            self._complain(error)
        return await self._end_old(conn, inode)

    async def _end_old(self, conn: Connection, inode: tuple[int, int] | None) -> bool:
        over = [
            one
            for one in self._files.open
            if one.inode != inode and self._is_over(one) and len(self._files.open) > 1
        ]
        ended = []
        for one in over:
            await self._run.read(conn, one, to_end=True)
            if self._run.is_full:
                break
            one.reached = replace(one.reached, finished=True)
            ended.append(one)
        if over:
            await self._run.commit(conn, self._files.open, keep=bool(ended))
        for one in ended:
            self._files.end(one)
        return bool(over)

    def _is_over(self, one: OpenLog) -> bool:
        """Tell whether *one*, which was renamed, has been left alone for long."""
        one.note_change()
        return not one.is_plain or time.monotonic() - one.still_since > self._linger
