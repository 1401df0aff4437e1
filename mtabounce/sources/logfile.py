"""Log files as streams of whole lines, compressed or not."""

import bz2
import errno
import gzip
import io
import lzma
import os
import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

import zstandard
from typing_extensions import Buffer  # Python has it from 3.12 on

CHUNK = 1 << 20  # bytes read at a time
LONGEST_LINE = 64 * 1024  # bytes; Postfix cuts at 2 KiB, Exim at 8, rsyslog at 8 by default


_SKIPPABLE = 0x184D2A50  # and the 15 numbers after it: frames of something else
_ONE_BYTE = 1  # kind of a block that repeats one byte


class _Zstandard(io.RawIOBase):
    """A .zst file that can be read again from its start, which zstandard's own cannot."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = path.open("rb")
        self._rewind()

    def _rewind(self) -> None:
        self._file.seek(0)
        reader = zstandard.ZstdDecompressor()
        self._stream = reader.stream_reader(self._file, read_across_frames=True, closefd=False)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        data = self._stream.read(len(view))
        view[: len(data)] = data
        self._at += len(data)
        if view and not data and not _is_whole(self._file):
            raise EOFError("Compressed file ended before its last frame did")  # as gzip and lzma do
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_CUR:
            offset += self._at
        if offset < self._at:
            self._rewind()
        while self._at < offset and (data := self._stream.read(min(CHUNK, offset - self._at))):
            self._at += len(data)
        return self._at

    def tell(self) -> int:
        return self._at

    def fileno(self) -> int:
        return self._file.fileno()

    def close(self) -> None:
        self._file.close()
        super().close()


def _is_whole(file: BinaryIO) -> bool:
    """Tell whether the last frame of a .zst file ends where the file does (RFC 8878 §3.1)."""
    file.seek(0)
    size = os.fstat(file.fileno()).st_size
    at = 0
    while at < size:
        file.seek(at)
        head = file.read(18)
        try:
            at += _frame_size(file, head, at)
        except (struct.error, zstandard.ZstdError):
            return False  # its header is cut
    return at == size


def _frame_size(file: BinaryIO, head: bytes, start: int) -> int:
    magic, size = struct.unpack("<II", head[:8])
    if magic & ~0xF == _SKIPPABLE:
        return 8 + int(size)
    at = start + zstandard.frame_header_size(head)
    is_last = False
    while not is_last:
        file.seek(at)
        low, high = struct.unpack("<HB", file.read(3))
        is_last, kind = bool(low & 1), low >> 1 & 3
        at += 3 + (1 if kind == _ONE_BYTE else (low | high << 16) >> 3)
    return at + 4 * zstandard.get_frame_parameters(head).has_checksum - start


def is_plain(file: BinaryIO) -> bool:
    """Tell whether *file* is read as it is, not decompressed."""
    return isinstance(file, io.BufferedReader) and isinstance(file.raw, io.FileIO)


_MAGIC: dict[bytes, Callable[[Path], object]] = {
    b"\x1f\x8b": gzip.open,
    b"\xfd7zXZ\0": lzma.open,
    b"BZh": bz2.open,
    b"\x28\xb5\x2f\xfd": lambda path: io.BufferedReader(_Zstandard(path)),
}
DAMAGED = (EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError, gzip.BadGzipFile)
COMPRESSED = (".gz", ".xz", ".bz2", ".zst")


def open_file(path: Path) -> BinaryIO:
    """Open *path* as it is. Raises OSError, also where one would wait for what a pipe brings."""
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return os.fdopen(number, "rb")


def open_log(path: Path) -> BinaryIO:
    """Open *path*, decompressing what its first bytes say is compressed. Raises OSError."""
    with open_file(path) as file:
        head = file.read(6)
    for magic, opened in _MAGIC.items():
        if head.startswith(magic):
            return cast("BinaryIO", opened(path))
    return open_file(path)


def read_on(file: BinaryIO, count: int) -> tuple[bytes, str]:
    """
    Return the next *count* bytes of *file*, and why there are fewer where it is not its end.

    What stands before the damage of a compressed file is whole, and the rest cannot be had. Raises
    OSError where the disk says so.
    """
    if is_plain(file):
        return file.read(count), ""
    pieces = bytearray()
    try:
        # read() would lose what it had when it met the damage
        while len(pieces) < count and (piece := file.read1(count - len(pieces))):  # type: ignore[attr-defined]
            pieces += piece
    except (OSError, *DAMAGED) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        return bytes(pieces), f"{type(error).__name__}: {error}"
    return bytes(pieces), ""


class Lines:
    """Cuts a stream into chunks of whole lines; a line over LONGEST_LINE is skipped."""

    def __init__(self) -> None:
        self.skipped = 0  # lines that were too long
        self._rest = b""
        self._skipping = False

    @property
    def held(self) -> int:
        """How many bytes wait for the end of their line."""
        return len(self._rest)

    def feed(self, block: bytes) -> bytes:
        """Return the whole lines that end in *block*; the rest waits for the next."""
        if self._skipping:
            block = self._after_line(block)
        end = block.rfind(b"\n") + 1
        if not end:
            self._hold(self._rest + block)
            return b""
        lines = self._rest + block[:end]
        self._hold(block[end:])
        return lines

    def end(self) -> bytes:
        """Return the last line, where it lacks its end and no more will come."""
        rest, self._rest = self._rest, b""
        return rest + b"\n" if rest else b""

    def _after_line(self, block: bytes) -> bytes:
        end = block.find(b"\n") + 1
        self._skipping = not end
        return block[end:] if end else b""

    def _hold(self, rest: bytes) -> None:
        self._rest = rest
        if len(rest) > LONGEST_LINE:
            self._rest, self._skipping = b"", True
            self.skipped += 1


def chunks(file: BinaryIO, size: int = CHUNK) -> Iterator[bytes]:
    """
    Yield the lines of *file* in chunks of about *size* bytes.

    Raises OSError, and EOFError behind the last line that can be read of a damaged file.
    """
    lines, damage = Lines(), ""
    while not damage:
        block, damage = read_on(file, size)
        if not block:
            break
        if whole := lines.feed(block):
            yield whole
    if last := lines.end():
        yield last
    if damage:
        raise EOFError(f"it is damaged: {damage}")
