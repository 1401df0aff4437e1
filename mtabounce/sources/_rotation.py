"""Which file is which: logs are renamed, copied, truncated and compressed while we read them."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

from mtabounce.sources._logfile import CHUNK, DAMAGED, is_plain, open_log
from mtabounce.store.logs import LogFile

HEAD = 1024  # bytes at the start of a file that tell it from others
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
    if not known.position:
        return True
    head = file.read(known.head_length)
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
        at += len(file.read(min(CHUNK, start - at))) or start
    return file.read(len(known.before))


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


def _has_inode(place: Path, known: LogFile) -> bool:
    try:
        seen = place.stat()
    except OSError:
        return False
    return (seen.st_dev, seen.st_ino) == (known.device, known.inode)


def known_as(place: Path, rows: Iterable[LogFile]) -> LogFile | None:
    """Return which of *rows* the file *place* is, read in part or whole; None: it is unknown."""
    by_length: defaultdict[int, list[LogFile]] = defaultdict(list)
    for row in rows:
        if row.position:
            by_length[row.head_length].append(row)
    for row in _alike(place, by_length):
        if found := find(row, [place]):
            found[1].close()
            return row
    return None


def _alike(place: Path, by_length: Mapping[int, Iterable[LogFile]]) -> list[LogFile]:
    """Return those that begin as *place* does."""
    try:
        with open_log(place) as file:
            head = file.read(HEAD)
    except (OSError, *DAMAGED):
        return []
    return [
        row
        for length, rows in by_length.items()
        if length <= len(head) and (digest := head_of(head[:length]))
        for row in rows
        if row.head == digest
    ]
