"""The mails in what a user names: files, mboxes, Maildirs, folders of them, standard input."""

import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mtabounce.sources.logfile import open_log, read_on

CHUNK = 1 << 20  # bytes read at a time
LARGEST = 64 << 20  # bytes of a mail; PostgreSQL would take no more than 1 GiB
_MBOX_LINE = re.compile(rb"(?m)^From (?=[^\r\n]{0,300}\d\d:\d\d)[^\r\n]*+\r?\n")
_LONGEST_MARK = 64 << 10  # bytes from an empty line to the end of the "From " line after it
_BEGIN = re.compile(rb"From |[!-9;-~]{1,100}[ \t]*:")  # of an mbox, or of a header
_MAILDIR = ("new", "cur")  # tmp holds what is still being written


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail, or why it could not be read."""

    name: str  # the file's; "FILE#2" is the second mail of an mbox
    content: bytes = b""
    error: str = ""
    octets: int = 0  # of the disk that were read since the mail before


def mails_of(paths: Iterable[Path]) -> Iterator[Mail]:
    """Yield each mail of *paths*, in order; "-" is standard input. Raises nothing."""
    for path in paths:
        if str(path) == "-":
            yield from _cut("(standard input)", sys.stdin.buffer)
        elif path.is_dir():
            yield from _of_folder(path)
        else:
            yield from _of_file(path)


def octets_of(paths: Iterable[Path]) -> int:
    """Return how many bytes there are to read, about: other programs may be at work there."""
    return sum(_size(file) for path in paths for file in _files_of(path))


def _files_of(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
    for place, _, names in os.walk(path):
        yield from (Path(place, name) for name in names)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # to open it says why


def _of_folder(path: Path) -> Iterator[Mail]:
    found = False
    for mail in _under(path):
        found = True
        yield mail
    if not found and not _boxes_of(path):  # a Maildir may be empty
        yield Mail(str(path), error="there is no mail in this folder")


def _boxes_of(path: Path) -> list[Path]:
    return [path / name for name in _MAILDIR if (path / name).is_dir()]


def _under(path: Path) -> Iterator[Mail]:
    try:
        inside = sorted(path.iterdir())
        boxes = _boxes_of(path)
        mails = sorted(mail for box in boxes for mail in box.iterdir())
    except OSError as error:
        yield Mail(str(path), error=error.strerror or str(error))
        return
    for mail in mails:
        yield from _of_file(mail)
    for one in inside:
        if one.is_dir():  # of a Maildir only its own folders, which begin with a dot
            if not one.is_symlink() and (not boxes or one.name.startswith(".")):
                yield from _under(one)
        elif not boxes and one.is_file():
            yield from _of_file(one, is_mail=False)


def _of_file(path: Path, *, is_mail: bool = True) -> Iterator[Mail]:
    """Yield the mails of *path*, compressed or not; none where it is none, unless we are told."""
    try:
        with open_log(path) if path.is_file() else path.open("rb") as file:
            yield from _cut(str(path), file, is_mail=is_mail)
    except OSError as error:
        yield Mail(str(path), error=error.strerror or str(error))


def _cut(name: str, file: BinaryIO, *, is_mail: bool = True) -> Iterator[Mail]:
    """Yield the mails of an mbox, or the one mail that *file* is."""
    at = 0
    for number, (content, error) in enumerate(_pieces(file, is_mail=is_mail), 1):
        before, at = at, _position(file)
        called = f"{name}#{number}" if number > 1 else name
        yield Mail(called, content, error, max(0, at - before))


def _position(file: BinaryIO) -> int:
    """Return how far *file* was read, as it lies on the disk; 0 where nobody knows."""
    try:
        return os.lseek(file.fileno(), 0, os.SEEK_CUR)
    except OSError:
        return 0


def _pieces(file: BinaryIO, *, is_mail: bool) -> Iterator[tuple[bytes, str]]:
    """Yield each mail of *file*, or why it cannot be had."""
    block, damage = read_on(file, CHUNK)
    if not is_mail and not _BEGIN.match(block):
        return
    cutter = _Cutter(is_mbox=block.startswith(b"From "))
    while block:
        yield from cutter.feed(block)
        block, damage = (b"", damage) if damage else read_on(file, CHUNK)
    if damage:
        yield b"", f"it is damaged, this mail and what follows it are lost: {damage}"
    elif not cutter.is_too_large:
        yield bytes(cutter.held), ""


class _Cutter:
    """Cuts a stream into mails, from one "From " line to the next; holds no more than one."""

    def __init__(self, *, is_mbox: bool) -> None:
        self.held = bytearray()  # of the mail that has not ended yet
        self.is_too_large = False  # it is, and was told of
        self._is_mbox = is_mbox

    def feed(self, block: bytes) -> Iterator[tuple[bytes, str]]:
        """Yield the mails that end in *block*."""
        searched = max(1, len(self.held) - _LONGEST_MARK)
        self.held += block
        start = 0
        for mark in _marks(self.held, searched) if self._is_mbox else ():
            if not self.is_too_large:
                yield bytes(self.held[start:mark]), ""
            start, self.is_too_large = mark, False
        del self.held[:start]
        if len(self.held) > LARGEST and not self.is_too_large:
            self.is_too_large = True
            yield b"", f"it is larger than {LARGEST >> 20} MiB"
        if self.is_too_large:
            del self.held[:-_LONGEST_MARK]


def _marks(held: bytearray, start: int) -> list[int]:
    """Return where mails begin in *held*, from *start* on: at "From " lines after an empty one."""
    return [
        found.start()
        for found in _MBOX_LINE.finditer(held, start)
        if held[max(0, found.start() - 3) : found.start()].endswith((b"\n\n", b"\n\r\n"))
    ]
