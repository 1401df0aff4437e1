"""Follows journald, where the mail server logs there and to no file."""

import asyncio
import json
import logging
import time
from asyncio import StreamReader
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from psycopg import AsyncConnection

from mtabounce.errors import TryAgainLater
from mtabounce.pipeline.log_record import AnotherReader, LogRecorder
from mtabounce.sources._log_run import BLOCK, LogRun, is_temporary
from mtabounce.sources.log_settings import LogSettings
from mtabounce.store import logs as store
from mtabounce.store.connection import Connect
from mtabounce.store.logs import LogFile

log = logging.getLogger(__name__)

PAUSE = 1.0  # seconds before the next try where something is away
RECENT = 30.0  # seconds for which it counts that journalctl ended: it is tried each second
_MAIL = "SYSLOG_FACILITY=2"

Connection = AsyncConnection[Any]


class JournalLog:
    """What comes of the journal, as LogRun reads it."""

    def __init__(self, known: LogFile) -> None:
        self.known = known
        self.reached = known
        self._data = b""
        self._skipped = ""

    def add(self, data: bytes) -> None:
        """Take what journalctl wrote, to be read next."""
        self._data += data
        if self._skipped and b"\n" in self._data:
            first, _, rest = self._data.partition(b"\n")
            self._data = rest if _cursor(first) == self._skipped else self._data
            self._skipped = ""

    def skip_to(self, cursor: str) -> None:
        """
        Leave out the entry at *cursor* ("": none), where the next data begins with it.

        journalctl's --after-cursor leaves out the first entry that there is, also where that of the
        cursor is deleted; --cursor begins with the next one then.
        """
        self._skipped = cursor

    def at(self, position: int, limit: int) -> bytes:
        """Return nothing: the state is kept with every batch, and nothing read again for it."""
        del position, limit
        return b""

    def read(self, limit: int = BLOCK, *, to_end: bool = False, one_line: bool = False) -> bytes:
        """Return the whole entries that came, and move on to the cursor of the last."""
        del limit, to_end
        end = (self._data.find(b"\n") if one_line else self._data.rfind(b"\n")) + 1
        lines, self._data = self._data[:end], self._data[end:]
        if lines:
            position = self.reached.position + len(lines)
            cursor = _cursor(lines) or self.reached.journal
            self.reached = replace(self.reached, position=position, journal=cursor)
        return lines


def _cursor(lines: bytes) -> str:
    with suppress(ValueError, KeyError, TypeError):
        return str(json.loads(lines.rstrip(b"\n").rpartition(b"\n")[2])["__CURSOR"])
    return ""


class JournalTailer:
    """Follows the mail facility of journald. Start run() in a task; it ends after stop()."""

    def __init__(self, settings: LogSettings, connect: Connect, recorder: LogRecorder) -> None:
        self._settings = settings
        self._connect = connect
        self._run = LogRun(settings, recorder)
        self._stop = asyncio.Event()
        self._complaint = ""
        self._ended_at = -RECENT  # when journalctl last did by itself, by the monotonic clock

    @property
    def name(self) -> str:
        """What the log is known by in the database."""
        return self._settings.name

    def stop(self) -> None:
        """Read no further; run() returns when what was read is committed."""
        self._stop.set()

    async def run(self, *, until_idle: bool = False) -> None:
        """Follow the journal until stop(); with *until_idle*, until its end is reached."""
        while not self._stop.is_set():
            try:
                async with await self._connect() as conn:
                    await self._follow(conn, until_idle=until_idle)
                    return
            except Exception as error:
                if not is_temporary(error):
                    self._run.be_careful()
                    raise
                self._complain(str(error).partition("\n")[0])
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), PAUSE)

    def standing(self) -> str:
        """Return why nothing is read; how much waits in a journal cannot be known."""
        return self._complaint if time.monotonic() - self._ended_at < RECENT else ""

    def _complain(self, text: str) -> None:
        """Log what is wrong, once until it is well again."""
        if text != self._complaint:
            self._complaint = text
            log.warning("journal: %s", text)

    async def _follow(self, conn: Connection, *, until_idle: bool) -> None:
        name = self._settings.name
        if not await store.own(conn, name):
            raise AnotherReader("another process follows it")
        rows = await store.log_files(conn, name)
        if not rows:
            fresh = LogFile(name=name, path="journal", reader="tail", device=0, inode=0)
            rows = [await store.add_log_file(conn, fresh)]
        one = JournalLog(rows[-1])
        self._run.reset()
        self._run.restore(rows, [])
        async with _journalctl(one.known.journal, follow=not until_idle) as output:
            one.skip_to(one.known.journal)
            while data := await self._next(output):
                one.add(data)
                self._run.move_clock(datetime.now(UTC))
                while await self._run.read(conn, one):
                    await self._run.commit(conn, [one], keep=True)
                    self._complaint = ""
        if not (until_idle or self._stop.is_set()):
            await self._begin_anew(conn, one)

    async def _next(self, output: StreamReader) -> bytes:
        """Return what journalctl wrote; b"" where it ended, or we are to stop."""
        reading = asyncio.ensure_future(output.read(BLOCK))
        stopping = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait([reading, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if reading.done():
            return reading.result()
        reading.cancel()
        return b""

    async def _begin_anew(self, conn: Connection, one: JournalLog) -> None:
        """Forget a cursor that journald does not know any more: it deletes what is old."""
        if one.known.journal and one.reached == one.known:
            log.error("journal: its cursor is gone: entries may be lost, or counted twice")
            await store.move(conn, one.known, replace(one.known, journal=""))
        self._ended_at = time.monotonic()
        raise TryAgainLater("journalctl ended: may this user read the journal?")


@asynccontextmanager
async def _journalctl(cursor: str, *, follow: bool) -> AsyncIterator[StreamReader]:
    options = ["--output=json", "--all", "--quiet", "--no-pager", "--lines=all"]
    options += ["--follow"] if follow else []
    options += [f"--cursor={cursor}"] if cursor else []
    process = await asyncio.create_subprocess_exec("journalctl", *options, _MAIL, stdout=PIPE)
    try:
        yield process.stdout or StreamReader()
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
