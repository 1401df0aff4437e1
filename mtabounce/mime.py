"""
A bounded walk over a mail's bytes: headers, parts, fingerprint.

The standard library builds an object for everything and decodes it; a bounce needs a few
headers and two or three parts. So this splits bytes, and decodes what is looked at. It takes any
bytes: LF, CRLF or CR as line ends, missing boundaries and terminators, endless nesting.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from mtabounce.charset import from_transfer_encoding, header_text, html_text, to_text

STRUCTURE_LIMIT = 256 * 1024  # bytes of a mail that are looked at
REPORT_LIMIT = 2 * 1024 * 1024  # bytes, where a report on many recipients goes on behind those
HEADER_LIMIT = 128 * 1024  # bytes of one header block
VALUE_LIMIT = 8 * 1024  # bytes of one header value
TEXT_LIMIT = 64 * 1024  # bytes of one part that are made text
DEPTH_LIMIT = 100  # multiparts inside each other
PART_LIMIT = 1000

_VALUE = re.compile(rb"[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)")
_FIELD = re.compile(rb"^([!-9;-~]+)[ \t]*:(.*(?:\n[ \t].*)*)", re.MULTILINE)
_ENVELOPE_LINE = re.compile(rb">?From [^\n]*\n")
_BOUNDARY = re.compile(
    rb"""boundary(?:\*0?\*?)?\s*=\s*(?:"([^"\n]*)"|'([^'\n]*)'|([^\s;"]+))""", re.IGNORECASE
)
_CHARSET = re.compile(rb"""charset(?:\*)?\s*=\s*["']?([^\s;"']+)""", re.IGNORECASE)
_GUESSED_BOUNDARY = re.compile(
    rb"^--([^\s-][^\n]{0,200}|-[^\n]{1,200})\n(?=content-[a-z-]+[ \t]*:)",
    re.MULTILINE | re.IGNORECASE,
)
# What a copy that took another way has more, less or different (RFC 5321, 8601, 8617).
_TRACE = re.compile(
    rb"^(?:received|received-spf|delivered-to|envelope-to|delivery-date|return-path"
    rb"|authentication-results|arc-[a-z-]+|dkim-signature|(?!x-failed-recipients)x-[!-9;-~]*)"
    rb"[ \t]*:.*(?:\n[ \t].*)*\n?",
    re.MULTILINE | re.IGNORECASE,
)


def unify_line_ends(content: bytes) -> bytes:
    """Return *content* with LF for every kind of line end, doubled CRs included."""
    if b"\r" not in content:
        return content
    content = content.replace(b"\r\n", b"\n")
    if b"\r" not in content:
        return content
    content = content.replace(b"\r\n", b"\n")  # was CR CR LF
    alone = content.count(b"\r")
    return content.replace(b"\r", b"\n" if alone > content.count(b"\n") else b"")


class Headers:
    """A header block. Names are case-insensitive; values are decoded when they are asked for."""

    __slots__ = ("_fields", "_first")

    def __init__(self, block: bytes) -> None:
        self._fields: list[tuple[bytes, bytes]] = _FIELD.findall(block[:HEADER_LIMIT])
        self._fields.reverse()  # so that the first of a name is the one that stays
        self._first = {name.lower(): value for name, value in self._fields}

    def __contains__(self, name: bytes) -> bool:
        return name in self._first

    def __len__(self) -> int:
        return len(self._first)

    def raw(self, name: bytes) -> bytes:
        """Return the first *name* (in lower case) as it stands; b"" where there is none."""
        return self._first.get(name, b"")[:VALUE_LIMIT]

    def all_raw(self, name: bytes) -> list[bytes]:
        """Return every *name* (in lower case) as it stands, from the top down."""
        return [value for named, value in reversed(self._fields) if named.lower() == name]

    def get(self, name: bytes) -> str:
        """Return the first *name* (in lower case) as text; "" where there is none."""
        value = self._first.get(name)
        return header_text(value[:VALUE_LIMIT]) if value else ""


@dataclass(slots=True)
class Part:
    """A leaf of the MIME tree, or an embedded message (its body is that message)."""

    head: bytes
    body: bytes  # as transferred
    type: str  # "text/plain", "message/rfc822", …: lower case
    content_type: bytes  # that field as it stands, with its parameters

    @property
    def data(self) -> bytes:
        """The body with its transfer encoding undone."""
        encoding = _field(self.head, b"content-transfer-encoding").strip().lower()
        return from_transfer_encoding(self.body, encoding) if encoding else self.body

    @property
    def text(self) -> str:
        """The body as text, at most TEXT_LIMIT bytes of it; HTML as a reader sees it."""
        return self.text_of(TEXT_LIMIT)

    def text_of(self, limit: int) -> str:
        """Return the body as text, at most *limit* bytes of it; HTML as a reader sees it."""
        found = _CHARSET.search(self.content_type) if self.content_type else None
        label = found[1].decode("ascii", "replace").lower() if found else ""
        text = unify_text(to_text(self.data[:limit], label))
        return html_text(text) if self.type == "text/html" else text


def unify_text(text: str) -> str:
    """Return *text* with LF for every line end (an encoded part may hold its own CRLFs)."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


class Message:
    """A mail: its headers, and its parts in order, embedded messages not entered."""

    def __init__(self, content: bytes, limit: int = STRUCTURE_LIMIT) -> None:
        self.is_cut = len(content) > limit
        content = unify_line_ends(content[:limit]).lstrip(b"\n")
        if envelope := _ENVELOPE_LINE.match(content):
            content = content[envelope.end() :]
        self.head, self.body = _split_head(content)

    @cached_property
    def headers(self) -> Headers:
        """The headers of the mail itself."""
        return Headers(self.head)

    @cached_property
    def type(self) -> str:
        """The media type in lower case, without parameters."""
        return _type_in(_field(self.head, b"content-type"))

    @cached_property
    def parts(self) -> list[Part]:
        """The leaves in the order of the mail, at most PART_LIMIT."""
        return list(_walk(self.head, self.body))

    @property
    def is_unwalked(self) -> bool:
        """Whether it may have more parts, or deeper ones, than are looked at."""
        parts = self.parts
        return len(parts) == PART_LIMIT or any(p.type.startswith("multipart/") for p in parts)


def _split_head(content: bytes) -> tuple[bytes, bytes]:
    if content.startswith(b"\n"):
        return b"", content[1:]
    head, _, body = content.partition(b"\n\n")
    return head, body


def _field(head: bytes, name: bytes) -> bytes:
    """Return the first field *name* (in lower case) of *head*, which is not worth a dict."""
    if not head:
        return b""
    at = (b"\n" + head).lower().find(b"\n" + name)
    found = _VALUE.match(head, at + len(name)) if at >= 0 else None
    return found[1] if found else b""


def _type_in(value: bytes) -> str:
    kind = value.partition(b";")[0].strip().lower()
    return kind.decode("ascii", "replace") if b"/" in kind else "text/plain"


def _walk(head: bytes, body: bytes) -> Iterator[Part]:
    waiting, found = [(head, body, 0)], 0
    while waiting and found < PART_LIMIT:
        head, body, depth = waiting.pop()
        value = _field(head, b"content-type")
        kind = _type_in(value)
        pieces: list[bytes] = []
        if kind.startswith("multipart/") and depth < DEPTH_LIMIT:
            pieces, kind = _split(value, body), "text/plain"
        if not pieces:
            found += 1
            yield Part(head, body, kind, value)
        waiting += [(*_split_head(piece), depth + 1) for piece in reversed(pieces[:PART_LIMIT])]


def _split(value: bytes, body: bytes) -> list[bytes]:
    """Cut the body of a multipart; [] where no boundary is found in it."""
    found = _BOUNDARY.search(value)
    boundary = (found[1] or found[2] or found[3] or b"").strip() if found else b""
    pieces = _cut(body, boundary) if boundary else []
    if pieces or not (guess := _GUESSED_BOUNDARY.search(body)):
        return pieces
    return _cut(body, guess[1].strip())


def _cut(body: bytes, boundary: bytes) -> list[bytes]:
    mark = b"\n--" + boundary
    pieces: list[bytes] = []
    for piece in (b"\n" + body).split(mark, PART_LIMIT + 1)[1:]:
        rest, _, content = piece.partition(b"\n")
        if rest.startswith(b"--") and not rest.strip(b"- \t"):
            break  # the terminator: what follows is for nobody
        if not rest.strip():
            pieces.append(content)
        elif pieces:
            pieces[-1] += mark + piece  # a longer boundary that starts alike
    return pieces


def fingerprint(content: bytes) -> bytes:
    """Return 16 bytes that are the same for two copies of a mail that took different ways."""
    content = unify_line_ends(content).lstrip(b"\n")
    if envelope := _ENVELOPE_LINE.match(content):
        content = content[envelope.end() :]
    return fingerprint_of(*_split_head(content))


def fingerprint_of(head: bytes, body: bytes) -> bytes:
    """Return the fingerprint of a mail that is cut already, its line ends unified."""
    kept = _TRACE.sub(b"", head[:HEADER_LIMIT]) + head[HEADER_LIMIT:]
    digest = sha256(kept.strip(b"\n"))
    digest.update(b"\n\n")
    digest.update(body.rstrip(b"\n"))
    return digest.digest()[:16]
