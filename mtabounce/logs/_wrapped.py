"""What other programs than syslogd put around its lines, or leave of them."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime

from mtabounce.logs._syslog import HOST, STAMP

_LOOKED_AT = 4096  # bytes at the start of a chunk: what wraps lines wraps all of them
_Change = bytes | Callable[[re.Match[bytes]], bytes]


def _from_container(found: re.Match[bytes]) -> bytes:
    try:
        line = json.loads(found[0])["log"]
        return str(line).encode(errors="replace").replace(b"\n", b"")
    except (ValueError, KeyError, TypeError):
        return b""


def _from_seconds(found: re.Match[bytes]) -> bytes:
    return datetime.fromtimestamp(float(found[1]), tz=UTC).isoformat().encode() + b" "


def _from_words(found: re.Match[bytes]) -> bytes:
    try:
        day = datetime.strptime(found[1].decode(), "%b %d %Y")  # noqa: DTZ007 (it has no zone)
    except ValueError:
        return found[0]
    return f"{day:%Y-%m-%d}T".encode()


_MOMENT = rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?"
# Docker's json-file; "docker logs -t", and what Kubernetes keeps; the syslogd of Busybox, which
# names facility and level; short-full and short-unix of journalctl; RFC 3164 with a year.
_WRAPPERS: tuple[tuple[bytes, _Change], ...] = (
    (rb'\{"log":[^\n]*\}$', _from_container),
    (
        _MOMENT + rb"(?:Z|[+-]\d\d:\d\d) (?:std(?:out|err) F )?(?=(?:" + STAMP + rb") )",
        b"",
    ),
    (
        rb"([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d " + HOST + rb" )[a-z]+\d?\.[a-z]+ ",
        rb"\1",
    ),
    (
        rb"[A-Z][a-z]{2} (" + _MOMENT + rb") (?:UTC()|[A-Z]{2,5}|[+-]\d\d) ",
        lambda found: found[1] + (b" " if found[2] is None else b"Z "),
    ),
    (rb"(\d{9,10}\.\d{6}) (?=" + HOST + rb" )", _from_seconds),
    (rb"([A-Z][a-z]{2} [ \d]?\d \d{4}) (?=\d\d:\d\d:\d\d " + HOST + rb" )", _from_words),
)
_CHANGES = [(re.compile(rb"^" + one, re.MULTILINE), change) for one, change in _WRAPPERS]
# With the "\n" in front each line costs a look, and not each byte.
_ANY = re.compile(rb"\n(?:" + b"|".join(one for one, _ in _WRAPPERS) + rb")", re.MULTILINE)


def unwrapped(chunk: bytes) -> bytes:
    """Return the lines of *chunk* as syslogd would write them; most are that already."""
    start = chunk[:_LOOKED_AT]
    if _ANY.search(b"\n" + start):
        for pattern, change in _CHANGES:
            if pattern.search(start):
                return pattern.sub(change, chunk)
    return chunk
