"""Holds log files open that nobody can read yet, as the database is away."""

import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mtabounce.sources._logfile import open_log

MOST = 200  # files; a process may have 1,024 open, and the oldest are deleted first


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


class Waiting:
    """What came by one path: whatever becomes of its name, what was written to it can be read."""

    def __init__(self) -> None:
        self._files: dict[tuple[int, int], tuple[Path, BinaryIO]] = {}

    def hold(self, path: Path, known: Collection[tuple[int, int]]) -> None:
        """Open what is at *path* now, but for the inodes *known*; an error is another's to tell."""
        try:
            seen = path.stat()
            inode = (seen.st_dev, seen.st_ino)
            if inode in known or inode in self._files or len(self._files) >= MOST:
                return
            file = open_log(path)
        except OSError:
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
        return found

    def take_back(self, found: Iterable[Found]) -> None:
        """Hold what was given away and could not be begun with."""
        for one in found:
            self._files.setdefault(inode_of(one.file), (one.path, one.file))

    def close(self) -> None:
        """Let go of all."""
        for _, file in self._files.values():
            file.close()
        self._files.clear()
