"""Reads logs that are over: rotated, compressed, brought from elsewhere. Each line counts once."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from psycopg import AsyncConnection

from mtabounce.errors import UsageError
from mtabounce.pipeline.log_record import AnotherReader, LogRecorder
from mtabounce.sources._log_run import LogRun
from mtabounce.sources._log_settings import LogSettings
from mtabounce.sources._logfile import DAMAGED
from mtabounce.sources._reading import OpenLog, begin
from mtabounce.sources._rotation import find, known_as
from mtabounce.store import logs as store
from mtabounce.store.logs import LogFile

BATCH = 4 << 20  # bytes of one transaction: so much is read again after a stop
_LOCK = "import"

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
    read, and why.
    """

    def __init__(
        self,
        settings: LogSettings,
        recorder: LogRecorder,
        tell: Callable[[Progress], None],
        skip: Callable[[Path, str], None],
    ) -> None:
        self._settings = settings
        self._recorder = recorder
        self._run = LogRun(settings, recorder)
        self._tell = tell
        self._skip = skip
        self._lines = 0

    async def read(self, conn: Connection, paths: Iterable[Path]) -> None:
        """
        Read *paths*, the oldest first, each from where it was read before.

        Raises AnotherReader where another import runs, UsageError where a file cannot be read.
        """
        if not await store.own(conn, _LOCK):
            raise AnotherReader("another import is running: wait for it, or stop it")
        for path in sorted(paths, key=_written_at):
            try:
                await self._read(conn, path)
            except (OSError, *DAMAGED) as error:
                raise UsageError(f"{path}: {error}") from error

    async def _read(self, conn: Connection, path: Path) -> None:
        rows = await store.log_files(conn)
        known = known_as(path, rows)
        if known is not None and known.reader == "tail" and not known.finished:
            self._skip(path, "it is being followed")
            return
        one = await self._opened(conn, path, known)
        try:
            self._run.move_clock(datetime.fromtimestamp(_written_at(path), tz=UTC))
            if known is not None and not known.finished:
                self._run.restore([known], [one])
            if not await self._all_of(conn, path, one):
                self._skip(path, "it was read before")
        finally:
            one.close()

    async def _opened(self, conn: Connection, path: Path, known: LogFile | None) -> OpenLog:
        found = find(known, [path]) if known is not None else None
        if known is not None and found is not None:
            return OpenLog(known, found[1])
        one = begin(f"{self._settings.own_host}:{path}", path, "import")
        one.return_to(await store.add_log_file(conn, one.reached))
        return one

    async def _all_of(self, conn: Connection, path: Path, one: OpenLog) -> bool:
        read = False
        while await self._batch(conn, path, [one]):
            read = True
        one.reached = replace(one.reached, finished=True)
        await self._run.commit(conn, [one], keep=True)
        return read

    async def _batch(self, conn: Connection, path: Path, opened: Sequence[OpenLog]) -> bool:
        (one,) = opened
        before = one.reached.lines
        used = await self._run.read(conn, one, BATCH, to_end=True)
        if used:
            await self._run.commit(conn, opened)
            self._lines += one.reached.lines - before
            self._tell(Progress(path, one.progress, self._lines, self._recorder.failures))
        return bool(used)


def _written_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
