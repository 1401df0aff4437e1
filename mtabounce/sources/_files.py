"""The files of one log: those that are open, and those that came since."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from prometheus_client import Counter
from psycopg import AsyncConnection

from mtabounce.sources._aside import REASONS, Aside, Inode
from mtabounce.sources._holding import Found, Waiting, held, inode_of
from mtabounce.sources._reading import OpenLog, begin
from mtabounce.sources.log_settings import LogSettings
from mtabounce.sources.rotation import (
    TRIES,
    as_row,
    find,
    inode_at,
    known_in,
    missed,
    read_at,
    siblings,
    unopened,
)
from mtabounce.store import logs as store
from mtabounce.store.logs import LogFile

log = logging.getLogger(__name__)

LOST = Counter(
    "mtabounce_log_lost_files_total",
    "Files of logs that were gone, or cut off, before they were read to their end.",
    ["log"],
)

Connection = AsyncConnection[Any]


class Files:
    """
    The files of the log of *settings*; *open* are those that are open, the oldest first.

    They are held open: whatever becomes of their names, what was written to them can be read.
    """

    def __init__(self, settings: LogSettings) -> None:
        self.open: list[OpenLog] = []
        self._settings = settings
        self._path = settings.path
        self._label = str(settings.path)
        self._waiting = Waiting()
        self._aside = Aside(self._label)
        self._beginning: set[Inode] = set()  # those that are to be open in a moment
        self._full = 0  # as few as this must be open before more are; 0: all are

    @property
    def are_more(self) -> bool:
        """Whether some are not open, as too many were."""
        return self._full > 0

    def hold(self) -> None:
        """Open what has taken the path, unless it is: it may be rotated away before it is read."""
        self._waiting.hold(self._path, self._inodes())

    def close(self) -> None:
        """Let go of all."""
        for one in self.open:
            one.close()
        self.open = []
        self._waiting.close()

    def end(self, one: OpenLog) -> None:
        """Be done with a file that was read to its end, and say where that was too early."""
        self.open.remove(one)
        one.close()
        if one.damage:
            LOST.labels(self._label).inc()
            log.error("%s: what follows its last line is lost: %s", one.known.path, one.damage)

    async def find_known(self, conn: Connection, rows: Sequence[LogFile]) -> None:
        """Open what *rows* say was being read, where it is now, or return to where it was."""
        kept = {one.known.id: one for one in self.open}
        self.open = []
        self._aside.take()
        places = self._places()
        try:
            for row in rows:
                if row.finished:
                    continue
                one = kept.pop(row.id, None)
                if one is not None:
                    one.return_to(row)
                    self.open.append(one)
                else:  # where something later was read, it does not wait any more
                    await self._find(conn, row, places, waits=row is rows[-1])
        except BaseException:
            self.open += kept.values()  # not to be closed: their names may be gone
            raise
        for left in kept.values():
            left.close()

    async def _find(
        self, conn: Connection, row: LogFile, places: Sequence[Path], *, waits: bool
    ) -> None:
        """Open the file of *row*; or set it aside, or give it up."""
        one = self._located(row, places)
        refused = unopened(row, places) if one is None else None
        if one is not None:
            self.open.append(one)
        elif refused is None:
            await self._lose(conn, row)
        else:
            if waits:
                self._aside.wait_for(*refused)
            self._aside.add(row, *refused)

    def _located(self, row: LogFile, places: Iterable[Path]) -> OpenLog | None:
        found = find(row, places) or self._searched(row)
        if found is None:
            return None
        place, file = found
        one = OpenLog(row, file)
        device, inode = one.inode
        one.reached = replace(row, path=str(place), device=device, inode=inode)
        return one

    def _searched(self, row: LogFile) -> tuple[Path, BinaryIO] | None:
        """Look for the file of *row* as long as others are renamed: else it would be given up."""
        seen: dict[Path, Inode | None] = {}
        for _ in range(TRIES):
            before, seen = seen, {place: inode_at(place) for place in self._places()}
            if seen == before:
                return None
            if found := find(row, seen):
                return found
        return None

    async def come_back(self, conn: Connection) -> None:
        """Open what could not be opened before, and can be now."""
        if self._aside.is_due:
            await self._try_again(conn)

    async def _try_again(self, conn: Connection) -> None:
        places, others = self._places(), self.open
        self.open = []
        try:
            for row in self._aside.take():
                await self._find(conn, row, places, waits=False)
        finally:
            self.open += others

    async def lose_others(self, conn: Connection) -> bool:
        """Give up a file that was truncated: what was left of it may be in a copy."""
        for one in self.open:
            if one.is_other():
                self.open.remove(one)
                one.close()
                copy = self._located(one.known, self._places())
                if copy is None:
                    await self._lose(conn, one.known)
                else:
                    self.open.insert(0, copy)
                return True
        return False

    async def _lose(self, conn: Connection, row: LogFile) -> None:
        await store.move(conn, row, replace(row, finished=True))
        if not row.head_length:  # it was empty when it was last seen: what came is found as new
            return
        LOST.labels(self._label).inc()
        log.error(
            "log %s: what was read up to byte %d is gone or was cut off:"
            " lines may have been lost; rotate by rename, not by copytruncate",
            self._path,
            row.position,
        )

    async def open_new(self, conn: Connection) -> None:
        """Open what has taken the path, and what was rotated away before that was seen."""
        if len(self.open) > self._full > 0:
            return  # first these must be read
        rows = await store.log_files(conn, self._settings.name)
        newest = held(self._path)  # before one looks what was rotated: it may be, in between
        if inode_of(newest.file) in self._aside.inodes:
            newest.file.close()
            await self._try_again(conn)
        else:
            await self.begin_new(conn, rows, [newest])

    async def begin_new(
        self, conn: Connection, rows: Sequence[LogFile], newest: Iterable[Found] = ()
    ) -> None:
        """Open what came while nobody looked: what was held, and rotated files that are unknown."""
        at_end = not rows and self._settings.start == "end"
        if at_end:
            self._waiting.close()
        found = list(newest)
        found += self._waiting.take(self._inodes() | _inodes_of(found))
        self._beginning = _inodes_of(found)
        try:
            if rows:
                found = await self._with_missed(conn, rows, found)
            found.sort(key=lambda one: one.modified_at)
            while found:
                await self._begin(conn, found[0], rows, at_end=at_end)
                del found[0]
        except BaseException:
            self._waiting.take_back(found)  # their names may be gone by the next try
            raise
        finally:
            self._beginning = set()

    async def _with_missed(
        self, conn: Connection, rows: Sequence[LogFile], found: list[Found]
    ) -> list[Found]:
        """Return what was rotated unseen, and *found*; that stays held where it is too much."""
        older, are_all = await self._missed(conn, rows, found)
        if are_all or not (older or self.open):
            self._full = 0
            return older + found
        self._full = max(1, (len(self.open) + len(older)) // 2)
        self._waiting.take_back(found)
        return older

    async def _missed(
        self, conn: Connection, rows: Sequence[LogFile], found: Iterable[Found]
    ) -> tuple[list[Found], bool]:
        inodes = self._inodes() | _inodes_of(found)
        known = [*map(as_row, found), *rows]  # what is held may have been compressed meanwhile
        while True:
            try:
                return missed(self._path, known, inodes, self._known_until(), self._waiting.most)
            except OSError as error:
                if error.errno not in REASONS or not error.filename:
                    raise
                inodes.add(await self._set_aside(conn, Path(error.filename), error))

    async def _set_aside(self, conn: Connection, place: Path, error: OSError) -> Inode:
        """Remember a rotated file that is unknown, and that cannot be opened."""
        device, inode = self._aside.wait_for(place, error)
        row = LogFile(
            name=self._settings.name, path=str(place), reader="tail", device=device, inode=inode
        )
        self._aside.add(await store.add_log_file(conn, row), place, error)
        return device, inode

    def _known_until(self) -> int | None:
        """
        Return when, in nanoseconds, the newest file that is open was written to and read.

        What is written to it after it was renamed does not make others older. None: none is open.
        """
        if not self.open:
            return None
        written_at = max(one.modified_at for one in self.open)
        return min(written_at, max(read_at(one.known) for one in self.open))

    async def _begin(
        self, conn: Connection, new: Found, rows: Iterable[LogFile], *, at_end: bool
    ) -> None:
        fresh = begin(self._settings.name, new.path, "tail", new.file).known
        async with conn.transaction():
            await store.lock_log_files(conn)
            known = await self._known_before(conn, new.file, fresh, rows)
            one = OpenLog(known or fresh, new.file)
            if at_end and not one.reached.position:
                one.skip_to_end()
            if not one.known.id:
                one.return_to(await store.add_log_file(conn, one.reached))
        self.open.append(one)

    async def _known_before(
        self, conn: Connection, file: BinaryIO, fresh: LogFile, rows: Iterable[LogFile]
    ) -> LogFile | None:
        """
        Return up to where *file* was read, which would be *fresh*; None: it never was.

        Either we were done with it, and it was moved back to its place, or an import had it, which
        is to read no further there.
        """
        own = known_in(file, (row for row in rows if row.finished))
        if own is not None:
            begun = replace(own, finished=False)
            await store.move(conn, own, begun)
            return begun
        known = known_in(file, await store.log_files(conn, reader="import"))
        last = None if known is None else await store.forget_log_file(conn, known)
        return None if last is None else _taken_over(last, fresh)

    def _places(self) -> list[Path]:
        return [self._path, *siblings(self._path)]

    def _inodes(self) -> set[Inode]:
        return {one.inode for one in self.open} | self._aside.inodes | self._beginning


def _inodes_of(found: Iterable[Found]) -> set[Inode]:
    return {inode_of(one.file) for one in found}


def _taken_over(imported: LogFile, fresh: LogFile) -> LogFile:
    """Return *fresh*, of which all was read that is read of *imported*."""
    return replace(
        fresh,
        position=imported.position,
        before=imported.before,
        head=imported.head,
        head_length=imported.head_length,
        skipping=imported.skipping,
        state_position=imported.position,
    )
