"""Where an address is named: in text, in bytes, and in what mails encode."""

import binascii
import quopri
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from mtabounce.address import spellings
from mtabounce.mime import REPORT_LIMIT

MARK = "erased"  # what stands where the address stood
_BASE64 = re.compile(rb"[A-Za-z0-9+/=_-]{16,}(?:\r?\n[A-Za-z0-9+/=_-]{4,})*")
_UNICODE = re.compile(rb"\\u([0-9a-fA-F]{4})")  # as JSON writes it
_QUOTE = r'(?:\\?")?'  # that need not be
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
            found.append(f"(?<![A-Za-z0-9_.+-]){_QUOTE}{name}{_QUOTE}@{place}{_END}")
            found.append(f"(?<![A-Za-z0-9_.])({name}(=|%40|%3d){place}){_END}")
        return "|".join(found)

    @cached_property
    def _bytes(self) -> re.Pattern[bytes]:
        return re.compile(self.pattern.encode(), re.IGNORECASE)

    def are_in(self, content: bytes) -> bool:
        """Tell whether *content* names it, encoded as mails and requests encode, or plainly."""
        return any(self._bytes.search(view) for view in _views(content))

    def are_cut_in(self, content: bytes) -> bool:
        """Tell whether *content*, a piece of something, begins or ends in the midst of it."""
        text = content.decode(errors="replace").lower()
        spelled = [one for one in spellings(self.address) if "@" in one]
        ends = [one[cut:] for one in spelled for cut in range(1, one.rindex("@"))]
        starts = [one[:cut] for one in spelled for cut in range(one.rindex("@") + 1, len(one))]
        return text.startswith(tuple(ends)) or text.endswith(tuple(starts))

    def without(self, content: bytes) -> bytes:
        """Return *content* with a mark where it is named plainly."""
        return self._bytes.sub(MARK.encode(), content)


def _escaped(text: str) -> str:
    return "".join(map(_letter, text))


def _letter(letter: str) -> str:
    if letter.isascii():
        return letter if letter.isalnum() else f"\\{letter}"
    capital = letter.upper()  # in bytes only ASCII has any; ß has none in a word
    cases = [letter, capital] if len(capital) == 1 else [letter]
    forms = {unicodedata.normalize(form, one) for form in ("NFC", "NFD") for one in cases}
    return f"(?:{'|'.join(sorted(forms))})"


def _views(content: bytes) -> Iterator[bytes]:
    yield content
    if b"\\u" in content:
        yield _UNICODE.sub(lambda found: chr(int(found[1], 16)).encode(errors="replace"), content)
    head = content[:REPORT_LIMIT]  # no parser reads on
    if b"=" in head:
        yield quopri.decodestring(head)
    for run in _BASE64.findall(head):
        try:
            raw = _SPACE.sub(b"", run).rstrip(b"=")
            yield binascii.a2b_base64(raw + b"=" * (-len(raw) % 4))
        except binascii.Error:
            continue
