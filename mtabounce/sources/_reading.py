"""One file of a log that is being read: how far, and what comes next."""

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from mtabounce.sources._holding import inode_of
from mtabounce.sources.logfile import CHUNK, LONGEST_LINE, is_plain, open_log, read_on
from mtabounce.sources.rotation import BEFORE, HEAD, head_of
from mtabounce.store.logs import LogFile


def begin(name: str, path: Path, reader: str, file: BinaryIO | None = None) -> "OpenLog":
    """
    Open *path*, of which nothing was read yet, as a part of the log *name*; or take it as *file*.

    What it begins with is noted at once: it may be rotated and compressed before it is read.
    Raises OSError.
    """
    file = file or open_log(path)
    device, inode = inode_of(file)
    head, _ = read_on(file, HEAD)
    file.seek(0)
    known = LogFile(
        name=name,
        path=str(path),
        reader=reader,
        device=device,
        inode=inode,
        head=head_of(head) if head else b"",
        head_length=len(head),
    )
    return OpenLog(known, file)


class OpenLog:
    """
    A file, held open: whatever becomes of its name, what was written to it can be read.

    *known* is how far it was read and committed; *reached* is how far it was read.
    """

    def __init__(self, known: LogFile, file: BinaryIO) -> None:
        self.known = known
        self.reached = known
        self._file = file
        self.is_plain = is_plain(file)
        # Both on the monotonic clock, and not from now on where that was long ago.
        self.quiet_since = _since(self.modified_at)  # when it was last written to
        self._changed_at = self._last_change()
        self.still_since = _since(self._changed_at)  # when it was last written to, or renamed
        self.damage = ""  # why a compressed file cannot be read any further
        self._rest = b""  # of a compressed file: the start of a line, already read
        if not self.is_plain:
            file.seek(known.position)

    @property
    def inode(self) -> tuple[int, int]:
        """Device and inode of the file itself."""
        return inode_of(self._file)

    @property
    def size(self) -> int:
        """How many bytes it has now; of a compressed one, compressed."""
        return os.fstat(self._file.fileno()).st_size

    @property
    def modified_at(self) -> int:
        """When it was last written to, in nanoseconds."""
        return os.fstat(self._file.fileno()).st_mtime_ns

    def note_change(self) -> None:
        """Note whether it was written to, or renamed, since the last time."""
        changed_at = self._last_change()
        if changed_at != self._changed_at:
            self._changed_at, self.still_since = changed_at, time.monotonic()

    def _last_change(self) -> int:
        seen = os.fstat(self._file.fileno())
        return max(seen.st_mtime_ns, seen.st_ctime_ns)

    @property
    def behind(self) -> int:
        """How many bytes were written and not read; 0 for a compressed file."""
        return max(0, self.size - self.reached.position) if self.is_plain else 0

    @property
    def waits(self) -> bool:
        """Whether a whole line is not committed; the last one may lack its end for now."""
        if not self.is_plain:
            return False
        ahead = os.pread(self._file.fileno(), LONGEST_LINE + 1, self.known.position)
        return b"\n" in ahead or len(ahead) > LONGEST_LINE

    @property
    def progress(self) -> int:
        """How many bytes of the file, as it lies on the disk, were read."""
        if self.is_plain:
            return self.reached.position
        return min(self.size, os.lseek(self._file.fileno(), 0, os.SEEK_CUR))

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def return_to(self, known: LogFile) -> None:
        """Forget what was read after *known*."""
        self.known = self.reached = known
        if not self.is_plain:
            self._file.seek(known.position)
            self._rest, self.damage = b"", ""

    def skip_to_end(self) -> None:
        """Pass over the whole lines that are there now."""
        while self.read():
            pass

    def is_other(self) -> bool:
        """Tell whether the file was truncated, or written anew, since it was last committed."""
        if not self.is_plain:
            return False
        before, position = self.known.before, self.known.position
        if self.size < self.reached.position:
            return True
        if not position:
            head = self.at(0, self.known.head_length)
            return bool(self.known.head_length) and head_of(head) != self.known.head
        return self.at(position - len(before), len(before)) != before

    def at(self, position: int, limit: int) -> bytes:
        """Return what stands at *position*, at most *limit* bytes, without moving on."""
        if self.is_plain:
            return os.pread(self._file.fileno(), limit, position)
        here = self._file.tell()
        self._file.seek(position)
        data, _ = read_on(self._file, limit)
        self._file.seek(here)
        return data

    def read(self, limit: int = CHUNK, *, to_end: bool = False, one_line: bool = False) -> bytes:
        """
        Return the whole lines that come next, and move on; b"" where there is none now.

        With *one_line*, only the next. With *to_end*, also the last line that lacks its end. A
        damaged file ends where its *damage* is. Raises OSError.
        """
        limit = max(limit, LONGEST_LINE + 1)  # else a longer line would never be known as one
        while data := self._data(limit):
            if one_line:
                data = data[: data.find(b"\n") + 1] or data
            lines, used = self._lines(data, to_end=to_end and len(data) < limit)
            if not used:
                break
            if lines:
                return lines
        return b""

    def _data(self, limit: int) -> bytes:
        if self.is_plain:
            return os.pread(self._file.fileno(), limit, self.reached.position)
        if not self.damage:
            data, self.damage = read_on(self._file, limit - len(self._rest))
            self._rest += data
        return self._rest

    def _lines(self, data: bytes, *, to_end: bool) -> tuple[bytes, int]:
        """Return the whole lines of *data*, and how much of it is done with."""
        start = 0
        if self.reached.skipping:
            start = data.find(b"\n") + 1
            if not start:
                return b"", self._move(data, len(data))
            self.reached = replace(self.reached, skipping=False)
        end = data.rfind(b"\n") + 1
        if end > start:
            return data[start:end], self._move(data, end)
        if start:
            return b"", self._move(data, start)
        if to_end:
            return data + b"\n", self._move(data, len(data))
        return b"", self._too_long(data)

    def _too_long(self, data: bytes) -> int:
        """Move on in a line without end: over a hole of NULs, or into a line nobody wrote."""
        if len(data) <= LONGEST_LINE:
            return 0
        hole = len(data) - len(data.lstrip(b"\0"))
        if hole:
            return self._move(data, hole)
        self.reached = replace(self.reached, skipping=True, skipped=self.reached.skipped + 1)
        return self._move(data, len(data))

    def _move(self, data: bytes, count: int) -> int:
        old = self.reached
        position = old.position + count
        head, length = old.head, old.head_length
        if length < min(HEAD, position):
            length = min(HEAD, position)
            head = head_of(self.at(0, length))
        before = (old.before + data[max(0, count - BEFORE) : count])[-BEFORE:]
        self.reached = replace(old, position=position, head=head, head_length=length, before=before)
        self._rest = self._rest[count:]
        return count


def _since(moment: int) -> float:
    """Return *moment* (nanoseconds, of files) on the monotonic clock; now, where it is ahead."""
    return time.monotonic() - max(0.0, time.time() - moment / 1e9)
