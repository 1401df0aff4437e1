"""Where an address is named: in text, in bytes, and in what mails encode."""

import binascii
import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from mtabounce.address import spellings
from mtabounce.mime import REPORT_LIMIT

MARK = "erased"  # what stands where the address stood
_BASE64 = re.compile(rb"[A-Za-z0-9+/=_-]{16,}(?:\r?\n[A-Za-z0-9+/=_-]{4,})*")
_SPACE = re.compile(rb"\s")
_END = r"(?![A-Za-z0-9-]|\.[A-Za-z0-9])"  # no longer domain goes on


@dataclass(frozen=True)
class Traces:
    """All ways in which *address*, normalized, is written."""

    address: str

    @cached_property
    def pattern(self) -> str:
        """A regular expression, of Python as of PostgreSQL, for it; its case does not matter."""
        found = []
        for one in spellings(self.address):
            local, _, domain = one.rpartition("@")
            name, place = _escaped(local), _escaped(domain)
            found.append(f"(?<![A-Za-z0-9_.+-]){name}@{place}{_END}")
            found.append(f"(?<![A-Za-z0-9_.])({name}(=|%40|%3d){place}){_END}")
        return "|".join(found)

    @cached_property
    def _bytes(self) -> re.Pattern[bytes]:
        return re.compile(self.pattern.encode(), re.IGNORECASE)

    def are_in(self, content: bytes) -> bool:
        """Tell whether *content* names it, encoded as mails and requests encode, or plainly."""
        return any(self._bytes.search(view) for view in _views(content))

    def without(self, content: bytes) -> bytes:
        """Return *content* with a mark where it is named plainly."""
        return self._bytes.sub(MARK.encode(), content)


def _escaped(text: str) -> str:
    return re.sub(r"([^A-Za-z0-9\u0080-\U0010ffff])", r"\\\1", text)


def _views(content: bytes) -> Iterator[bytes]:
    yield content
    yield content.replace(b"\\u0040", b"@")
    head = content[:REPORT_LIMIT]  # no parser reads on
    if b"=" in head:
        yield quopri.decodestring(head)
    for run in _BASE64.findall(head):
        try:
            raw = _SPACE.sub(b"", run).rstrip(b"=")
            yield binascii.a2b_base64(raw + b"=" * (-len(raw) % 4))
        except binascii.Error:
            continue
