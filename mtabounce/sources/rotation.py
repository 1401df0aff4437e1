"""Which file is which: logs are renamed, copied, truncated and compressed while we read them."""

import hashlib
import os
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from mtabounce.sources._holding import Found, held, inode_of
from mtabounce.sources.logfile import CHUNK, COMPRESSED, DAMAGED, is_plain, open_log, read_on
from mtabounce.store.logs import LogFile

HEAD = 1024  # bytes at the start of a file that tell it from others
TRIES = 20  # looks at what is rotated, while it is rotated further
_SKEW = 60.0  # seconds between the clock of the database and that of the files
BEFORE = 256  # bytes in front of the position that must still be there


def head_of(data: bytes) -> bytes:
    """Return what stands for the first bytes of a file."""
    return hashlib.sha256(data[:HEAD]).digest()[:16]


def siblings(path: Path) -> list[Path]:
    """Return what *path*, or where it leads, was renamed or copied to; the oldest first."""
    found: dict[Path, int] = {}
    for place in {path, Path(os.path.realpath(path))}:
        for other in _listed(place.parent):
            if other.name != place.name and _is_rotated(other.name, place):
                try:
                    found[other] = other.stat().st_mtime_ns
                except OSError:
                    continue  # it was just rotated away
    return sorted(found, key=lambda one: (found[one], one.name))


def _listed(folder: Path) -> list[Path]:
    try:
        return [one for one in folder.iterdir() if one.is_file()]
    except OSError:
        return []


def _is_rotated(name: str, place: Path) -> bool:
    """mail.log.1, mail.log-20261123.gz; mail-20261123.log with logrotate's "extension"."""
    if name.startswith((f"{place.name}.", f"{place.name}-")):
        return True
    return bool(place.suffix) and name.startswith(f"{place.stem}-") and place.suffix in name


def is_same(file: BinaryIO, known: LogFile) -> bool:
    """
    Tell whether *file*, at its start, is what *known* was read from; moves to its position.

    Raises OSError and DAMAGED.
    """
    if not known.head_length:  # empty, or it could not be opened: nothing else tells it from others
        is_likely = is_plain(file) or known.path.endswith(COMPRESSED)
        return is_likely and inode_of(file) == (known.device, known.inode)
    head, _ = read_on(file, known.head_length)
    if len(head) < known.head_length or head_of(head) != known.head:
        return False
    return _before(file, known, len(head)) == known.before


def _before(file: BinaryIO, known: LogFile, at: int) -> bytes:
    start = known.position - len(known.before)
    if is_plain(file):
        file.seek(start)
        return file.read(len(known.before))
    if at > start:
        file.seek(start)
    while at < start:
        at += len(read_on(file, min(CHUNK, start - at))[0]) or start
    return read_on(file, len(known.before))[0]


def find(known: LogFile, places: Iterable[Path]) -> tuple[Path, BinaryIO] | None:
    """Return where among *places* the file *known* is now, open at its position."""
    for place in sorted(places, key=lambda place: not _has_inode(place, known)):
        try:
            file = open_log(place)
        except OSError:
            continue
        try:
            if is_same(file, known):
                return place, file
        except (OSError, *DAMAGED):
            pass
        file.close()
    return None


def missed(
    path: Path,
    rows: Sequence[LogFile],
    inodes: Collection[tuple[int, int]],
    newest: int | None,
    most: int,
) -> tuple[list[Found], bool]:
    """
    Return what *path* was renamed to that is unknown, and newer than what was read.

    *rows* are the files that are known, *inodes* those that are open; *newest* (nanoseconds) is
    when the last of these was written to, None where none is open. With them comes whether they
    are all: they are the oldest ones where more than *most* files would be open in this process.
    Raises OSError, with its name, where one cannot be opened.
    """
    since = _written_at(path, rows[-1]) if newest is None else newest
    for _ in range(TRIES):
        found: list[Found] = []
        try:
            for one in _unknown(path, rows, inodes, since):
                if one.file.fileno() >= most:  # the lowest number that is free
                    one.file.close()
                    return found, False
                found.append(one)
        except (_Moved, OSError) as error:
            for one in found:
                one.file.close()
            if isinstance(error, OSError):
                raise
        else:
            return found, True
    return [], True


class _Moved(Exception):
    """A name leads elsewhere by now."""


def _unknown(
    path: Path, rows: Sequence[LogFile], inodes: Collection[tuple[int, int]], since: int
) -> Iterator[Found]:
    """Yield what missed() returns, held open."""
    for place in siblings(path):
        try:
            seen = place.stat()
            inode = (seen.st_dev, seen.st_ino)
            is_new = seen.st_mtime_ns >= since and seen.st_size and inode not in inodes
            if not is_new or is_in_the_making(place) or known_as(place, rows) is not None:
                continue
            one = held(place)
        except FileNotFoundError as error:
            raise _Moved from error
        except OSError as error:
            error.filename = str(place)
            raise
        if inode_of(one.file) != inode:  # it was rotated on: another file would be read twice
            one.file.close()
            raise _Moved
        yield one


def unopened(known: LogFile, places: Iterable[Path]) -> tuple[Path, OSError] | None:
    """Return where among *places* the file *known* is and why it cannot be opened; None: it can."""
    for place in places:
        if _has_inode(place, known):
            try:
                open_log(place).close()
            except FileNotFoundError:
                continue
            except OSError as error:
                return place, error
    return None


def is_in_the_making(place: Path) -> bool:
    """Tell whether *place* is being compressed: what it is made from is deleted after that."""
    return place.suffix in COMPRESSED and place.with_suffix("").exists()


def _written_at(path: Path, row: LogFile) -> int:
    """Return when *row* was last written to, in nanoseconds, or read where it is gone."""
    found = find(row, [path, *siblings(path)])
    if found is not None:
        with found[1] as file:
            return os.fstat(file.fileno()).st_mtime_ns
    return read_at(row)


def read_at(row: LogFile) -> int:
    """Return when *row* was last moved, in nanoseconds, at the earliest: clocks differ."""
    moved_at = row.updated_at.timestamp() if row.updated_at else time.time()
    return int((moved_at - _SKEW) * 1e9)


def inode_at(place: Path) -> tuple[int, int] | None:
    """Return device and inode of what is at *place* now; None: nothing that can be seen."""
    try:
        seen = place.stat()
    except OSError:
        return None
    return seen.st_dev, seen.st_ino


def _has_inode(place: Path, known: LogFile) -> bool:
    return inode_at(place) == (known.device, known.inode)


def known_as(place: Path, rows: Iterable[LogFile]) -> LogFile | None:
    """Return which of *rows* the file *place* is, read in part or whole; None: it is unknown."""
    try:
        with open_log(place) as file:
            return known_in(file, rows)
    except OSError:
        return None


def known_in(file: BinaryIO, rows: Iterable[LogFile]) -> LogFile | None:
    """Return which of *rows* the open *file* is, whatever its name is now; None: it is unknown."""
    by_length: defaultdict[int, list[LogFile]] = defaultdict(list)
    for row in rows:
        if row.head_length:
            by_length[row.head_length].append(row)
    try:
        file.seek(0)
        head, _ = read_on(file, HEAD)
        for row in _alike(head, by_length):
            file.seek(0)
            if is_same(file, row):
                return row
    except (OSError, *DAMAGED):
        pass
    return None


def known_since_empty(file: BinaryIO, rows: Iterable[LogFile]) -> LogFile | None:
    """Return which of *rows*, of which nothing but the inode is known yet, the open *file* is."""
    begun = (row for row in rows if not row.head_length and not row.finished)
    return next((row for row in begun if is_same(file, row)), None)


def as_row(held: Found) -> LogFile:
    """Return what a file that was only *held* would be known by, had it been read to its end."""
    number = held.file.fileno()
    size = os.fstat(number).st_size if is_plain(held.file) else 0
    head = os.pread(number, min(HEAD, size), 0)
    device, inode = inode_of(held.file)
    return LogFile(
        name="",
        path=str(held.path),
        reader="",
        device=device,
        inode=inode,
        head=head_of(head),
        head_length=len(head),
        position=size,
        before=os.pread(number, min(BEFORE, size), max(0, size - BEFORE)),
    )


def _alike(head: bytes, by_length: Mapping[int, Iterable[LogFile]]) -> list[LogFile]:
    """Return those that begin with *head*, as far as they were read."""
    return [
        row
        for length, rows in by_length.items()
        if length <= len(head) and (digest := head_of(head[:length]))
        for row in rows
        if row.head == digest
    ]
