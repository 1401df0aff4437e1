"""
Exim's main log, as a file or through syslog, with any of its log selectors.

Sources: the specification's chapter "Log files"; src/deliver.c (delivery_log, deferral_log,
failure_log), src/receive.c, src/log.c (write_syslog cuts long lines), src/string.c (escapes).
"""

import re

from mtabounce.address import with_quotes
from mtabounce.logs._events import Attempt, Explained, Kind, Line, LogFormat, State, decoded
from mtabounce.logs._syslog import BLANKS, BODY, HOST, PRIORITY, STAMP

# Message ids had 16 characters up to Exim 4.96, and have 23 since.
_ID = rb"([0-9A-Za-z]{6}-(?:[0-9A-Za-z]{6}-[0-9A-Za-z]{2}|[0-9A-Za-z]{11}-[0-9A-Za-z]{4})) "
_LOCAL_STAMP = (
    rb"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(?:|\.[0-9]{3})(?:| [+-][0-9]{4})"
)
_SYSLOG = PRIORITY + rb"(" + STAMP + rb") (" + HOST + rb" )[\w.-]{0,40}exim[\w.-]{0,20}" + BODY
# What most deliveries are: an address without oddities, routed by a router, by a transport, and
# not to this host. The relay is the name of the host, or else that of the transport.
_NAME = rb"[0-9A-Za-z_.-]++"
_HOST_FOLLOWS = _NAME + rb"(?:| S=[0-9]++) H="
_SENT = (
    rb"(?:=>|->|>>) ([^<>\"\\:|/@" + BLANKS + rb"]++@[^<>:" + BLANKS + rb"]++)"
    rb"(?:| F=<[^>\"\n]*+>)(?:|( P=<[^>\"\n]*+)>) R=" + _NAME
    + rb" T=(?:" + _HOST_FOLLOWS + rb"|(?!" + _HOST_FOLLOWS + rb"))([^\[\]" + BLANKS + rb"]++)"
    rb"(?! \[(?:127\.|::1))(?=[ \n])[^\n<]*+(?:<(?!\")[^\n<]*+)*+(?=\n)"
)  # fmt: skip
_QUOTED_WORDS = rb'"[^"\\\n]*+(?:\\.[^"\\\n]*+)*"'
_REVERSE_PATH = (
    _QUOTED_WORDS + rb'[^"' + BLANKS + rb"]*+"
    rb'|(?!<>[ \n])[^"' + BLANKS + rb"][^" + BLANKS + rb"]*+"
)  # fmt: skip
# The word that follows the id is Exim's; what others said comes after it.
_WORDS = (
    rb"(?:" + _SENT
    + rb"|<=( (?:" + _REVERSE_PATH + rb"|))(?:<>|)( [^\n]*+|)(?=\n)"
    rb"|((?:=>|->|\*\*|==|>>|<=) [^\n]*+|cancelled by [^\n]*+)|(?:Completed|removed by )[^\n]*+)"
)  # fmt: skip
# Exim's own file names no host. The marks are not used there, nor does syslog repeat lines.
_NATIVE = re.compile(rb"\n(" + _LOCAL_STAMP + rb")(?:| \[[0-9]+\])( )()()()" + _ID + _WORDS)
# Here the first mark is Exim's own stamp, where it has one.
_WRAPPED = re.compile(
    rb"\n(?:" + _SYSLOG + rb")?(" + _LOCAL_STAMP + rb")? ?(?:\[\d+\] )?()()" + _ID + _WORDS
)
_IN_SYSLOG = re.compile(rb"\n" + _SYSLOG)
# A line that syslog took in pieces: "[1\3] …", the last character of the cut is a slash.
_PIECE = re.compile(
    rb"\n(" + PRIORITY + rb"(?:" + STAMP + rb") )(" + HOST + rb" [\w.-]{0,40}exim[\w.-]{0,20}"
    + BODY + rb")\[(\d{1,2})[\\/](\d{1,2})\] ([^\n]*)"
)  # fmt: skip
_STATES = {
    b"**": State.BOUNCED,
    b"==": State.DEFERRED,
    b"=>": State.SENT,
    b"->": State.SENT,
    b">>": State.SENT,
}
_PUT_OFF = frozenset({b"-51", b"-52", b"-53", b"-54", b"-55"})
_NOT_YET = re.compile(rb"[Rr]etry time not (?:yet )?reached")
# What was last met is not said again where these words of Exim's own are.
_GAVE_UP = re.compile(
    rb".*\bretry timeout exceeded|all hosts (?:for \S+ )?have been failing for a long time"
    rb"(?: \(and retry time not reached\))?",
    re.DOTALL,
)
_CANCELLED = b"delivery cancelled by administrator"  # the words of Exim's own report

_LONGEST = 1000  # bytes of a recipient as logged; an address has at most 320
_PREFIX = 70  # bytes that an alias may have taken off
_QUOTED = re.compile(rb' <("(?:[^"\\]|\\.){0,1000}+"@[^>\s]+)>')
# The addresses in between, which +all_parents adds, are of no use.
_ORIGINAL = rb'(?: \([^()\n]*\))? <("(?:[^"\\]|\\.){0,1000}+"@[^<>\s]+|[^<>\s"]*@[^<>\s]*)>'
_PLAIN = re.compile(
    rb'((?:"(?:[^"\\]|\\.)*+"|[^\s:"<>]*?)@\S+?)(?:' + _ORIGINAL + rb")?(?=:? |:?$)"
    rb"|([^\s:@\"<>]+?)(?:" + _ORIGINAL + rb")?(?= ?:| [A-Z]{1,5}=| (?:\w+ )?defer\b|$)"
)
# A local part that must be quoted stands bare where an alias led to it.
_BARE = re.compile(rb"([^\n]{1,320}?@[^\s<>:\"]+)" + _ORIGINAL + rb"(?= ?: | [A-Z]{1,5}=)")
_SPECIAL = re.compile(rb"([|/:>].*?) <([^<>]*@[^<>]*)>")  # a pipe, a file, :fail:, a reply
_VALUE = rb'(?:"(?:[^"\\]|\\.)*"|<(?:"(?:[^"\\]|\\.)*"|[^">])*>|[^\s"<]\S*?)'
_TOKEN = re.compile(
    rb" (?:([A-Z][A-Z0-9]{0,5})=(" + _VALUE + rb")?(?=:? |:?$)"
    # Since Exim 4.100 a deferral has no number, and an error of the system in its place.
    rb"|(?:\w+ )?defer(?: \((-?\d+)\)(?:: (.*?)(?= H=\S+ \[| DT=[\d.]+[a-z]+(?::|$)))?"
    rb"| \(([A-Z][\w' /,-]*)\)|(?=:| [A-Z]{1,5}=|$))|(\[[0-9A-Fa-f.:]+\](?::\d+)?)\*?"
    rb"|\([^()\s]*\)|(?:K|L|DS|PIPE|TFO)\*?)(?=[ :*]|$)"
)
_TIMES = re.compile(rb"(?:DT|QT|RT)=[\d.]+[smhdw][\d.smhdw]*+")
_ESCAPE = re.compile(rb"\\([0-7]{3}|[\\nrtbvf])")
_PLAIN_ESCAPES = {
    b"\\": b"\\",
    b"n": b" ",
    b"r": b" ",
    b"t": b"\t",
    b"b": b"",
    b"v": b"",
    b"f": b"",
}
_ERROR = re.compile(
    r"(?:SMTP|LMTP) error from remote (?:mail server|mailer) after (?P<after>.*?):"
    r" (?:host (?P<host>\S+) \[[^\]]*\]: )?(?P<reply>[245]\d\d[ -].*)"
    r"|LMTP error after (?P<lmtp>.*?): (?P<answer>[245]\d\d[ -].*)",
    re.DOTALL,
)
_AFTER = re.compile(r"(?:pipelined )?(initial connection|end of data|[A-Z]{4}(?: (?:TO|FROM))?)")
# What most failures are: they say where a host refused an address without oddities.
_REFUSED = re.compile(
    rb"(\*\*|==) ([^\s<>\"\\:|/@]++@[^\s<>:]++)(?: F=<[^>\"]*+>)?(?: P=<([^>\"]*+)>)?"
    rb" R=[\w.-]++ T=[\w.-]++(?: defer(?: \((-?\d+)\))?)? H=([^\s\[\]]++) (\[[0-9A-Fa-f.:]++\]): "
)
_LOOPBACK = re.compile(rb"\[(?:127\.[\d.]+|::1)\]")
_DATED = re.compile(rb"\n\d{4}-\d\d-\d\d \d")
_SUBJECT = re.compile(rb" T=" + _QUOTED_WORDS)


def _looks_like(chunk: bytes) -> bool:
    # Its own files have a blank after the date, where syslog has a T; syslog names the program.
    return _DATED.search(chunk) is not None or b"exim" in chunk


def _lines(chunk: bytes) -> list[Line]:
    if b"exim" not in chunk or not _IN_SYSLOG.search(chunk):
        return _NATIVE.findall(chunk)
    if b" [1\\" in chunk:
        chunk = _PIECE.sub(_Pieces(), chunk)
    return [
        (inner or outer, place or b" ", b"", *more)
        for outer, place, inner, *more in _WRAPPED.findall(chunk)
        if inner or outer
    ]


class _Pieces:
    r"""Puts ``[1\2]`` and ``[2/2]`` of one process together, where the last of them stands."""

    def __init__(self) -> None:
        self._heads: dict[bytes, list[bytes]] = {}

    def __call__(self, found: re.Match[bytes]) -> bytes:
        stamp, process, number, count, text = found.groups()
        pieces = self._heads.setdefault(process, [])
        if int(number) == 1:
            pieces.clear()
        pieces.append(text)
        if int(number) < int(count):
            return b"\n"
        return b"\n" + stamp + process + b"".join(self._heads.pop(process))


def _told(rest: bytes) -> tuple[Kind, bytes]:
    if rest.startswith(b"<= "):
        return Kind.RECEIVED, b""
    if rest.startswith(b"cancelled by timeout_frozen_after"):
        return Kind.EXPIRED, b""
    if not rest.startswith(b"cancelled"):
        return Kind.DELIVERY, rest
    # A system filter's "fail" has words for the sender; an operator's -Mg has none.
    return Kind.CANCELLED, rest.partition(b"by system filter: ")[2].strip() or _CANCELLED


def _message_id(told: bytes) -> bytes:
    # The subject (T="…") is the sender's own words: fields are looked for in front of it.
    fields, _, _ = told.partition(b' T="')
    _, _, found = fields.replace(b" id*=", b" id=").partition(b" id=")
    return found.partition(b" ")[0].strip(b"<>")


def _recipients_of(told: bytes) -> frozenset[bytes]:
    """Return who stands at the end, after " for ", as addresses and nothing else."""
    subject = _SUBJECT.search(told)
    _, mark, named = told[subject.end() if subject else 0 :].rpartition(b" for ")
    words = named.split()
    if not mark or not all(b"@" in word and word.count(b'"') in (0, 2) for word in words):
        return frozenset()
    return frozenset(words)


def _attempt(rest: bytes) -> Attempt | None:
    plain = None if b' <"' in rest else _REFUSED.match(rest)
    if plain is None:
        return _odd_attempt(rest)
    flag, final, path, defer, host, address = plain.groups()
    text = rest[plain.end() :].strip()
    state = _STATES[flag]
    if state is State.DEFERRED and _was_put_off(defer, text):
        state = State.NOTED
    elif state is State.BOUNCED:
        state, text = _end_of(text)
    return Attempt(state, final, b"", host + address, b"", text, path)


def _was_put_off(number: bytes | None, text: bytes) -> bool:
    """Tell whether a deferral was no attempt; what a host said never stands first in *text*."""
    return number in _PUT_OFF or (not number and _NOT_YET.match(text) is not None)


def _odd_attempt(rest: bytes) -> Attempt | None:
    flag, rest = rest[:2], rest[3:]
    final, original, end = _recipients(rest)
    if not final:
        return None
    fields, defer, text = _fields(rest, end)
    state = _STATES[flag]
    if rest.startswith(b">") or (state is State.DEFERRED and _was_put_off(defer, text)):
        state = State.NOTED  # that an automatic reply failed says nothing of who sent it
    elif state is State.BOUNCED:
        state, text = _end_of(text)
    relay = fields.get(b"H", b"") + fields.get(b"[", b"") or fields.get(b"T", b"")
    path = fields.get(b"P", fields.get(b"F", b""))
    reverse_path = path[1:-1] if path.startswith(b"<") else None
    arrived = state is State.SENT and bool(relay) and not _LOOPBACK.search(relay)
    return Attempt(state, final, original, relay, b"", text, reverse_path, arrived=arrived)


def _recipients(rest: bytes) -> tuple[bytes, bytes, int]:
    """
    Return final and original recipient, and where they end; empty where nobody can tell.

    A local part that must be quoted stands there bare, and then quoted as the original. It can hold
    what looks like the rest of a line, so what begins alike in both is no recipient by itself.
    """
    at = rest.find(b' <"')
    while 0 <= at < _LONGEST:
        found = _QUOTED.match(rest, at)
        if found and _unquoted(found[1]) == rest[:at]:
            return found[1], found[1], found.end()
        at = rest.find(b' <"', at + 1)
    final, original, end = _bare_recipients(rest)
    return (b"", b"", 0) if _begins_again(rest, len(final)) else (final, original, end)


def _begins_again(rest: bytes, length: int) -> bool:
    """Tell whether the recipient, so long, and what follows it, stands in quotes as well."""
    start = rest[: length + 3]
    at = rest.find(start, length)
    while at >= 0:
        if b' <"' in rest[max(0, at - _PREFIX) : at]:
            return True
        at = rest.find(start, at + 1)
    return False


def _bare_recipients(rest: bytes) -> tuple[bytes, bytes, int]:
    special = _SPECIAL.match(rest)
    if special:
        return special[2], special[2], special.end()
    plain = _PLAIN.match(rest)
    if plain:
        final, original, local, its_original = plain.groups(b"")
        return final or local, original or its_original, plain.end()
    bare = _BARE.match(rest)
    return (_quoted(bare[1]), bare[2], bare.end()) if bare else (b"", b"", 0)


def _quoted(address: bytes) -> bytes:
    return with_quotes(address.decode("latin-1")).encode("latin-1")  # whatever its letters are


def _unquoted(address: bytes) -> bytes:
    local, _, domain = address.rpartition(b"@")
    return re.sub(rb"\\(.)", rb"\1", local[1:-1]) + b"@" + domain


def _fields(rest: bytes, start: int) -> tuple[dict[bytes, bytes], bytes, bytes]:
    """Return the fields from *start* on by name, the number of a deferral, and the text."""
    fields: dict[bytes, bytes] = {}
    defer, error = b"", b""
    while found := _TOKEN.match(rest, start):
        name, value, number, why, words, address = found.groups(b"")
        if name:
            fields.setdefault(name, value)
        if address:
            fields.setdefault(b"[", address)
        if number:
            defer, error = number, why
        error = words or error
        start = found.end()
    text = rest[start:].lstrip(b" *")
    text = text[1:].strip() if text.startswith(b":") else text.strip()
    return fields, defer, text or error


def _end_of(text: bytes) -> tuple[State, bytes]:
    """Return how a recipient failed, and *text* without what some selectors put behind it."""
    text = _without_times(text)
    return (State.EXPIRED if _GAVE_UP.fullmatch(text) else State.BOUNCED), text


def _explain(attempt: Attempt) -> Explained:
    raw = attempt.text
    text = decoded(_ESCAPE.sub(_unescape, raw) if b"\\" in raw else raw)
    host = decoded(attempt.relay.partition(b"[")[0]) if b"[" in attempt.relay else ""
    error = _ERROR.search(text)
    if error is None:
        return Explained(text, "", host)
    after = _AFTER.match(error["after"] or error["lmtp"] or "")
    return Explained(
        error["reply"] or error["answer"], after[1] if after else "", error["host"] or host
    )


def _without_times(text: bytes) -> bytes:
    """Take the times off that some selectors put behind what was said; there are three kinds."""
    for _ in range(3):
        rest, _, last = text.rpartition(b" ")
        if not _TIMES.fullmatch(last):
            break
        text = rest
    return text


def _unescape(found: re.Match[bytes]) -> bytes:
    code = found[1]
    if code in _PLAIN_ESCAPES:
        return _PLAIN_ESCAPES[code]
    return bytes([int(code, 8) & 0xFF])


FORMAT = LogFormat(
    title="Exim",
    looks_like=_looks_like,
    lines=_lines,
    told=_told,
    attempt=_attempt,
    explain=_explain,
    message_id=_message_id,
    recipients=_recipients_of,
)
