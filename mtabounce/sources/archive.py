"""Reads logs that are over: rotated, compressed, brought from elsewhere. Each line counts once."""

import errno
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from psycopg import AsyncConnection

from mtabounce.pipeline.log_record import AnotherReader, LogRecorder
from mtabounce.sources._log_run import LogRun, is_temporary, reader_of
from mtabounce.sources._reading import OpenLog, begin
from mtabounce.sources.log_settings import LogSettings
from mtabounce.sources.logfile import open_log, read_on
from mtabounce.sources.rotation import inode_at, is_in_the_making, known_in, known_since_empty
from mtabounce.sources.written import written_at
from mtabounce.store import logs as store

SETTLED = 60.0  # seconds without a line after which a file counts as over
_HEAD = 16 * 1024  # bytes in which the first line that says when a message was is looked for
CARE = 3  # times that a file is begun again after a mistake of ours
_LOCK = "import"

log = logging.getLogger(__name__)

Connection = AsyncConnection[Any]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is."""

    path: Path
    octets: int  # of this file, as it lies on the disk
    lines: int  # of all files, read now
    bounces: int  # failures found in all files, read now


class Archive:
    """
    Imports files into the database as *settings* say, which name no file.

    *tell* is called after each transaction; *skip* with each file of which nothing is left to be
    read, and why; *fault* with each that could not be read, or not whole, and why.
    """

    def __init__(
        self,
        settings: LogSettings,
        recorder: LogRecorder,
        tell: Callable[[Progress], None],
        skip: Callable[[Path, str], None],
        fault: Callable[[Path, str], None],
    ) -> None:
        self._settings = settings
        self._recorder = recorder
        self._run = LogRun(settings, recorder)
        self._tell = tell
        self._skip = skip
        self._fault = fault
        self._lines = 0
        self.recognized = 0  # lines that say something of a message, in all files

    async def read(self, conn: Connection, paths: Iterable[Path]) -> None:
        """
        Read *paths*, the oldest first, each from where it was read before.

        What is damaged, or no log, keeps no other file from being read. Raises AnotherReader where
        another import runs.
        """
        if not await store.own(conn, _LOCK):
            raise AnotherReader("another import is running: wait for it, or stop it")
        inodes = {path: inode_at(path) for path in paths}
        for path in sorted(inodes, key=self._begun_at):
            try:
                await self._read(conn, _now_at(path, inodes[path]))
            except OSError as error:
                self._fault(path, error.strerror or str(error))

    def _begun_at(self, path: Path) -> datetime:
        """Return when *path* begins: a copy may have the time at which it was copied."""
        latest = written_at(path)
        try:
            with open_log(path) as file:
                head, _ = read_on(file, _HEAD)
        except OSError:
            return latest  # to read it says why
        reader = reader_of(self._settings)
        reader.join.clock.move(latest)
        return reader.first_at(head[: head.rfind(b"\n") + 1]) or latest

    async def _read(self, conn: Connection, path: Path) -> None:
        if is_in_the_making(path):
            self._skip(path, "it is being compressed")
            return
        one = await self._opened(conn, path)
        if one is None:
            return
        try:
            self._run.move_clock(written_at(path))
            if one.known.position and not one.known.finished:
                self._run.restore([one.known], [one])
            read = await self._all_but_bad_lines(conn, path, one)
            if one.damage:
                self._fault(path, f"it is damaged, what follows line {one.reached.lines} is lost")
            elif not read:
                self._skip(path, "it was read before")
            elif not one.reached.recognized:
                await store.forget_log_file(conn, one.known)
                self._skip(path, "no line was understood: is it the log of Postfix or Exim?")
        except AnotherReader:
            self._skip(path, "it is being followed now")
        finally:
            self.recognized += one.known.recognized
            one.close()

    async def _opened(self, conn: Connection, path: Path) -> OpenLog | None:
        """Open *path* where it was read up to; None where it is not to be read."""
        file = open_log(path)  # once: the log may be rotated, and the name lead to another
        one = None
        try:
            one = await self._begun(conn, path, file)
        finally:
            if one is None:
                file.close()
        return one

    async def _begun(self, conn: Connection, path: Path, file: BinaryIO) -> OpenLog | None:
        if _is_tar(file):
            self._fault(path, "it holds other files, not lines: unpack it, and import those")
            return None
        fresh = begin(f"{self._settings.own_host}:{path}", path, "import", file).known
        if not fresh.head_length:
            self._skip(path, "it is empty")
            return None
        async with conn.transaction():
            await store.lock_log_files(conn)
            rows = await store.log_files(conn)
            known = known_in(file, rows) or known_since_empty(file, rows)
            if known is not None and known.reader == "tail" and not known.finished:
                self._skip(path, "it is being followed")
                return None
            return OpenLog(known or await store.add_log_file(conn, fresh), file)

    async def _all_but_bad_lines(self, conn: Connection, path: Path, one: OpenLog) -> bool:
        """Read *one* to its end; begin again where it was, with more care, where that fails."""
        for _ in range(CARE):
            try:
                return await self._all_of(conn, path, one)
            except Exception as error:
                if is_temporary(error):
                    raise
                log.exception("%s: a mistake of mtabounce: please report it", path)
            self._run.be_careful()
            self._run.reset()
            one.return_to(one.known)
            self._run.restore([one.known], [one])
        return await self._all_of(conn, path, one)

    async def _all_of(self, conn: Connection, path: Path, one: OpenLog) -> bool:
        read = False
        while await self._batch(conn, path, [one]):
            read = True
        one.reached = replace(one.reached, finished=True)
        await self._run.commit(conn, [one])
        await store.keep_state(conn, replace(one.known, state=b""))  # nobody asks for it again
        return read

    async def _batch(self, conn: Connection, path: Path, opened: Sequence[OpenLog]) -> bool:
        (one,) = opened
        before = one.reached.lines
        # What is still being written may end within a line.
        is_over = not one.is_plain or time.monotonic() - one.quiet_since > SETTLED
        used = await self._run.read(conn, one, to_end=is_over)
        if used:
            await self._run.commit(conn, opened)
            self._lines += one.reached.lines - before
            self._tell(Progress(path, one.progress, self._lines, self._recorder.failures))
        return bool(used)


def _is_tar(file: BinaryIO) -> bool:
    """Tell whether *file*, at its start, is one of tar; its lines would pass for those of a log."""
    head, _ = read_on(file, 262)
    file.seek(0)
    return head[257:] == b"ustar"


def _now_at(path: Path, inode: tuple[int, int] | None) -> Path:
    """
    Return where the file *inode* is that was at *path*: logs are rotated while others are read.

    Raises OSError where it is gone, perhaps as it was compressed.
    """
    if inode_at(path) == inode:
        return path
    for place in path.parent.iterdir():
        if inode_at(place) == inode:
            return place
    raise OSError(errno.ENOENT, "it was rotated away meanwhile: import once more", str(path))
