"""The mails in what a user names: files, mboxes, Maildirs, standard input."""

import mmap
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_MBOX_LINE = re.compile(rb"(?m)^From [^\r\n]*\d\d:\d\d[^\r\n]*\r?\n")
_SMALL = 2**20  # bytes; larger files are not read into memory as a whole
_MAILDIR = ("new", "cur")  # tmp holds what is still being written


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail, or why it could not be read."""

    name: str  # the file's; "FILE#2" is the second mail of an mbox
    content: bytes = b""
    error: str = ""


def mails_of(paths: Iterable[Path]) -> Iterator[Mail]:
    """Yield each mail of *paths*, in order; "-" is standard input. Raises nothing."""
    for path in paths:
        try:
            yield from _mails_in(path)
        except OSError as error:
            yield Mail(str(path), error=error.strerror or str(error))


def _mails_in(path: Path) -> Iterator[Mail]:
    if str(path) == "-":
        yield from _split("(standard input)", sys.stdin.buffer.read())
    elif path.is_dir():
        yield from _of_folder(path)
    elif path.stat().st_size < _SMALL:
        yield from _split(str(path), path.read_bytes())
    else:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            yield from _split(str(path), text)


def _of_folder(path: Path) -> Iterator[Mail]:
    folders = [path / name for name in _MAILDIR if (path / name).is_dir()]
    if not folders:
        yield Mail(str(path), error="is a folder, but no Maildir: it has neither new nor cur")
        return
    yield from mails_of(sorted(file for folder in folders for file in folder.iterdir()))


def _split(name: str, content: bytes | mmap.mmap) -> Iterator[Mail]:
    """Yield the mails of an mbox, or the one mail that *content* is."""
    starts = [found.start() for found in _mbox_lines(content)]
    if len(starts) < 2:
        yield Mail(name, content[:])
        return
    ends = [*starts[1:], len(content)]
    for number, (start, end) in enumerate(zip(starts, ends, strict=True), 1):
        yield Mail(f"{name}#{number}" if number > 1 else name, content[start:end])


def _mbox_lines(content: bytes | mmap.mmap) -> Iterator[re.Match[bytes]]:
    """Yield the "From " lines of an mbox: the first line, and those after an empty one."""
    if content[:5] != b"From ":
        return
    for found in _MBOX_LINE.finditer(content):
        start = found.start()
        if start == 0 or content[max(0, start - 3) : start].endswith((b"\n\n", b"\n\r\n")):
            yield found
