"""
Postfix's log.

Sources: src/global/log_adhoc.c (delivery lines), src/*qmgr/qmgr_active.c (from=,
expired, removed), src/cleanup/cleanup_message.c (message-id=), src/bounce/bounce_notify_*.c.
"""

import re

from mtabounce.logs._events import Attempt, Event, Explained, Kind, LogFormat, State, decoded
from mtabounce.logs._syslog import BODY, HEAD, HOST, REPEATED, times

_AGENTS = (b"smtp", b"lmtp", b"local", b"virtual", b"pipe", b"error", b"discard", b"retry")
_QUEUE_MANAGERS = (b"qmgr", b"nqmgr", b"oqmgr")
_PROGRAMS = (*_AGENTS, *_QUEUE_MANAGERS, b"cleanup")
_MARKS = (b": to=", b": from=", b": removed", b"message-id=")  # each line has one, as _LINE says
_DAEMONS = b"|".join(_PROGRAMS)

# The tag is syslog_name, perhaps with the name of a service, and the program. syslog_name can be
# anything: an address, postfix-out, mta/submission.
_LINE = re.compile(
    HEAD + rb"(" + HOST + rb" (?:[^\s/\[\]]{1,64}/){0,4})(" + _DAEMONS + rb")" + BODY + REPEATED
    # A short queue id is hexadecimal, a long one is not; NOQUEUE has no message.
    + rb"((?!NOQUEUE)[0-9A-Za-z]{6,25}): (to=|from=|(?:resent-)?message-id=|removed)([^\n]*)"
)  # fmt: skip
_KINDS: dict[bytes, dict[bytes, Kind]] = {
    b"to=": dict.fromkeys(_AGENTS, Kind.DELIVERY),
    b"from=": dict.fromkeys(_QUEUE_MANAGERS, Kind.SENDER),
    b"removed": dict.fromkeys(_QUEUE_MANAGERS, Kind.GONE),
    b"message-id=": {b"cleanup": Kind.MESSAGE_ID},
    b"resent-message-id=": {b"cleanup": Kind.MESSAGE_ID},
}
# A quoted local part is one unit, whatever it holds. Before Postfix 3.5 nothing was quoted, and a
# ">" could stand in an address: it ends where the next field follows.
_PATH = rb'((?:"(?:[^"\\\n]|\\.)*"|[^">\n]|>(?!, (?:orig_to=<|relay=|size=|status=)))*)'
_ATTEMPT = re.compile(
    rb"<" + _PATH + rb">, (?:orig_to=<" + _PATH + rb">, )?relay=([^,\n]*), (?:conn_use=\d+, )?"
    rb"delay=[\d.]+, (?:delays=[\d./]+, )?(?:dsn=(\d\.\d+\.\d+), )?status=([\w-]+)(?: \((.*))?"
)  # fmt: skip
# What most lines are: an address without oddities, a remote relay, no content filter here.
_SENT = re.compile(
    rb'<([^"<>\\\s]*)>, relay=([^\[,\n]*)\[(?!127\.|::1|IPv6:::1|private)[^,\n]*, '
    rb"(?:conn_use=\d+, )?"
    rb"delay=[\d.]+, delays=[\d./]+, dsn=2\.\d+\.\d+, status=sent \("
)
_SENDER = re.compile(rb"<" + _PATH + rb">, (size=|status=(?:expired|force-expired)\b)")
_STATES = {
    b"sent": State.SENT,
    b"deferred": State.DEFERRED,
    b"bounced": State.BOUNCED,
    b"SOFTBOUNCE": State.DEFERRED,  # soft_bounce = yes: the message stays in the queue
    b"deliverable": State.NOTED,  # these answer address probes, verify(8)
    b"undeliverable": State.NOTED,
    b"undeliverable-but-not-cached": State.NOTED,
}
# Only what takes the message on this host may say under which id it goes on: a content filter,
# or local(8), which forwards.
_LOOPBACK = re.compile(rb"\[(?:127\.[\d.]+|::1|IPv6:::1|private/[^\]]*)\](?::\d+)?$")
_MAILBOXES = frozenset({b"local", b"virtual"})  # pipe(8) may lead to a filter, discard(8) nowhere
_ELSEWHERE = re.compile(rb"\[(?!127\.|::1|IPv6:::1)[^\]]+\]")
_HEIR = re.compile(rb"(?:queued|forwarded) as ([0-9A-Za-z]{6,25})\)?$")
_SAID = re.compile(
    r"(?:delivery temporarily suspended: )?host ([^\s\[]+)\[[^\]]*\]"
    r" (?:said|refused to talk to me): (.*)",
    re.DOTALL,
)
_IN_REPLY = re.compile(r" \(in reply to (.{1,40}?)(?: command)?\)?$")
_WHILE = re.compile(r" while (?:sending|receiving the) ([A-Za-z][A-Za-z ]{2,30})")


def _looks_like(chunk: bytes) -> bool:
    return any(mark in chunk for mark in _MARKS)


def _events(chunk: bytes) -> list[Event]:
    found: list[Event] = []
    kinds, places, add = _KINDS, _Places(), found.append
    delivery, sender = Kind.DELIVERY, Kind.SENDER
    for stamp, place, daemon, repeated, queue_id, verb, rest in _LINE.findall(chunk):
        kind = kinds[verb].get(daemon)
        if kind is None:
            continue
        count = 1
        if kind is sender:
            path, size, _ = rest.partition(b">, size=")
            if size and b'"' not in path:
                rest = path[1:]
            else:
                kind, rest = _sender(rest)
        elif repeated and kind is delivery:
            rest, count = rest[:-1], times(repeated)
        host, instance = places[place]
        add((kind, stamp, (host, instance, queue_id), rest, count))
    return found


class _Places(dict[bytes, tuple[bytes, bytes]]):
    """Host and instance of each beginning of a line; the instance ends at the first slash."""

    def __missing__(self, place: bytes) -> tuple[bytes, bytes]:
        host, _, tag = place.partition(b" ")
        found = self[place] = (host, tag[: tag.find(b"/")])
        return found


def _sender(rest: bytes) -> tuple[Kind, bytes]:
    found = _SENDER.match(rest)
    if found is None:
        return Kind.SENDER, rest.partition(b">")[0].lstrip(b"<")
    return (Kind.SENDER if found[2] == b"size=" else Kind.EXPIRED), found[1]


def _sent(rest: bytes) -> tuple[bytes, bytes, bytes | None] | None:
    found = _SENT.match(rest)
    return (found[1], found[2], None) if found else None


def _attempt(rest: bytes) -> Attempt | None:
    found = _ATTEMPT.match(rest)
    if found is None:
        return None
    final, original, relay, status, word, text = found.groups(b"")
    state = _STATES.get(word)
    if state is None:
        return None
    if state is not State.SENT:
        return Attempt(state, final, original, relay, status, text)
    handed = _HEIR.search(text) if relay == b"local" or _LOOPBACK.search(relay) else None
    arrived = not handed and (relay in _MAILBOXES or _ELSEWHERE.search(relay) is not None)
    heir = handed[1] if handed else b""
    return Attempt(state, final, original, relay, status, text, None, heir, arrived)


def _explain(attempt: Attempt) -> Explained:
    """Take ``host a[b] said: reply (in reply to c command)`` apart; a cut line lacks its end."""
    text = decoded(attempt.text)
    text = text[:-1] if text.endswith(")") else text
    said = _SAID.fullmatch(text)
    if said is None:
        during = _WHILE.search(text)
        return Explained(text, during[1].strip() if during else "", _relay_host(attempt.relay))
    # The remote host can write "(in reply to" too: ours is the last.
    answers = _IN_REPLY.search(said[2])
    reply = said[2][: answers.start()] if answers else said[2]
    return Explained(reply, answers[1] if answers else "", said[1])


def _relay_host(relay: bytes) -> str:
    return decoded(relay.partition(b"[")[0]) if b"[" in relay else ""


FORMAT = LogFormat(
    title="Postfix",
    looks_like=_looks_like,
    events=_events,
    sent=_sent,
    attempt=_attempt,
    explain=_explain,
    reporter="double-bounce",
)
