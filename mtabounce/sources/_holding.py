"""Holds log files open that nobody can read yet, as the database is away."""

import logging
import os
import resource
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mtabounce.sources.logfile import open_log

log = logging.getLogger(__name__)

_OPEN = 16_384  # files that a process needs to be allowed at most, as in contrib/systemd


class Found(NamedTuple):
    """A file of which nothing was read yet."""

    modified_at: int  # nanoseconds
    path: Path  # where it was
    file: BinaryIO


def inode_of(file: BinaryIO) -> tuple[int, int]:
    """Return device and inode of an open file."""
    seen = os.fstat(file.fileno())
    return seen.st_dev, seen.st_ino


def held(path: Path) -> Found:
    """Open what is at *path* now. Raises OSError."""
    file = open_log(path)
    return Found(os.fstat(file.fileno()).st_mtime_ns, path, file)


def _may_open() -> int:
    """Let this process open many files, as far as it may; return how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < min(hard, _OPEN):
        soft = min(hard, _OPEN)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


class Waiting:
    """What came by one path: whatever becomes of its name, what was written to it can be read."""

    def __init__(self) -> None:
        self._files: dict[tuple[int, int], tuple[Path, BinaryIO]] = {}
        self.most = _may_open() // 2  # files; the rest is for connections, and all else
        self._complained = False

    def hold(self, path: Path, known: Collection[tuple[int, int]]) -> None:
        """Open what is at *path* now, but for the inodes *known*; an error is another's to tell."""
        try:
            seen = path.stat()
            inode = (seen.st_dev, seen.st_ino)
            if inode in known or inode in self._files:
                return
            file = open_log(path)
        except OSError:
            return
        if file.fileno() >= self.most:  # the lowest number that is free; the oldest files go first
            file.close()
            self._complain(path)
            return
        self._files.setdefault(inode_of(file), (path, file))  # another one may be there by now

    def take(self, known: Collection[tuple[int, int]]) -> list[Found]:
        """Give away what is held, but for the inodes *known*, which are open elsewhere."""
        found = []
        for inode, (path, file) in self._files.items():
            if inode in known:
                file.close()
            else:
                found.append(Found(os.fstat(file.fileno()).st_mtime_ns, path, file))
        self._files.clear()
        self._complained = False
        return found

    def take_back(self, found: Iterable[Found]) -> None:
        """Hold what was given away and could not be begun with."""
        for one in found:
            self._files.setdefault(inode_of(one.file), (one.path, one.file))

    def _complain(self, path: Path) -> None:
        if not self._complained:
            log.error(
                "log %s: %d files wait for the database, and no more may be open: the lines of"
                " those that are deleted before it is back are lost; raise LimitNOFILE",
                path,
                len(self._files),
            )
        self._complained = True

    def close(self) -> None:
        """Let go of all."""
        for _, file in self._files.values():
            file.close()
        self._files.clear()
