"""
Postfix's log.

Sources: src/global/log_adhoc.c (delivery lines), src/*qmgr/qmgr_active.c (from=,
expired, removed), src/cleanup/cleanup_message.c (message-id=) and cleanup_bounce.c,
src/bounce/bounce_notify_*.c, src/postsuper/postsuper.c (removed, requeued).
"""

import re

from mtabounce.logs._events import Attempt, Explained, Kind, Line, LogFormat, State, decoded
from mtabounce.logs._syslog import BLANKS, BODY, HEAD, HOST, REPEATED

# Each line has one of these, as _LINE says.
_MARK = re.compile(rb": (?:to=|from=|removed|requeued|message-id=)")

# A quoted local part is one unit, whatever it holds. Before Postfix 3.5 nothing was quoted, and a
# ">" could stand in an address: it ends where the next field follows.
_PATH = rb'((?:"(?:[^"\\\n]|\\.)*"|[^">\n]++|>(?!, (?:orig_to=<|relay=|size=|status=)))*)'
# Newer versions say more between these, as "tls=dane, ": one word, and never a stranger's.
_MORE = rb"(?:|(?:(?!dsn=|status=)[a-z_]+=[^,\n]*, )+)"
_TIMES = (
    rb"(?:|conn_use=[0-9]+, )delay=[0-9.e+-]+, (?:delays=[0-9./e+-]+, |)" + _MORE
)  # fmt: skip
# Without quotes an address can hold what looks like the rest of a line, and so can what a host
# said: where the recipient seems to end twice, neither is believed.
_ENDS_AGAIN = rb">, (?:orig_to=<|relay=)"
_SAID_ONCE = rb"[^\n>]*+(?:>(?!" + _ENDS_AGAIN[1:] + rb")[^\n>]*+)*+(?=\n)"
# What most deliveries are: an address without oddities, a remote relay, no content filter here.
_SENT = (
    rb"to=<([^\"<>\\" + BLANKS + rb"]++)>(), "
    rb"relay=([^\[,\n]*+)\[(?!127\.|::1|IPv6:::1|private)[^,\n]*+, "
    + _TIMES + rb"dsn=2\.[0-9]+\.[0-9]+, status=sent \(" + _SAID_ONCE
)  # fmt: skip
# The tag is syslog_name, perhaps with the name of a service, and the program. syslog_name can be
# anything: an address, postfix-out, mta/submission. The instance ends at the first slash.
_PART = rb"[^/\[\]" + BLANKS + rb"]{1,64}+/"
_LINE = re.compile(
    HEAD + rb"(" + HOST + rb" (?:" + _PART + rb")?+)(?:|(?:" + _PART + rb"){1,3}+)"
    # The marks tell which program it was: one that delivers, one that keeps the queue, or
    # cleanup(8). The latter two fail recipients, too: where they forbid a mail that a program of
    # this host sent, and where no other program can do it.
    rb"(?:(?:smtp|lmtp|local|virtual|pipe|error|discard|retry)()"
    rb"|(?:[no]?qmgr|postsuper)()|cleanup)"
    + BODY + REPEATED
    # A short queue id is hexadecimal, a long one is not; NOQUEUE has no message.
    + rb"((?!NOQUEUE)[0-9A-Za-z]{6,25}+): "
    rb"(?:(?(3)" + _SENT
    + rb"|(?(4)(?:from=(<[^\">\n]*+)>, size=[^\n]*+|(?:removed|requeued)[^\n]*+)"
    rb"|message-id(=[^\n]*+)))"  # resent-message-id: of another mail, and no bounce names it
    rb"|((?:to=|(?(4)from=|(?!)))[^\n]*+))"
)  # fmt: skip
# rsyslog, writing RFC 5424, ends the name of a program at the first slash, and so does whoever
# takes that: "postfix", or "postfix-out", is all that is left. What a line says tells the rest.
_SHORTENED = re.compile(
    rb"(" + HEAD + HOST + rb" postfix[\w.-]{0,40}+)(" + BODY + REPEATED
    + rb"[0-9A-Za-z]{6,25}+: )(?=(to=|message-id=|from=|removed|requeued))"
)  # fmt: skip
_PROGRAMS = {b"to=": b"/smtp", b"message-id=": b"/cleanup"}
_ATTEMPT = re.compile(
    rb"<" + _PATH + rb">, (?:orig_to=<" + _PATH + rb">, )?relay=([^,\n]*), " + _TIMES
    + rb"(?:dsn=(\d\.\d+\.\d+), )?status=([\w-]+)(?: \((.*))?"
)  # fmt: skip
_TWICE = re.compile(_ENDS_AGAIN)
_SENDER = re.compile(rb"<" + _PATH + rb">, (size=|status=(?:force-)?expired\b(?![^\n]*>))")
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
    return _MARK.search(chunk) is not None


def _lines(chunk: bytes) -> list[Line]:
    if b" postfix " in chunk or b" postfix[" in chunk:
        chunk = _SHORTENED.sub(_whole_tag, chunk)
    return _LINE.findall(chunk)


def _whole_tag(found: re.Match[bytes]) -> bytes:
    *_, mark = found.groups()
    tag, rest = found[1], found[0][len(found[1]) :]
    return tag + _PROGRAMS.get(mark, b"/qmgr") + rest


def _told(rest: bytes) -> tuple[Kind, bytes]:
    if rest.startswith(b"to="):
        return Kind.DELIVERY, rest[3:]
    found = _SENDER.match(rest, 5)
    if found is None:
        return Kind.SENDER, rest[5:].partition(b">")[0].lstrip(b"<")
    return (Kind.SENDER if found[2] == b"size=" else Kind.EXPIRED), found[1]


def _message_id(told: bytes) -> bytes:
    """Return it without its angle brackets, which it may not have."""
    found = told[1:].strip()
    return found[1:-1] if found[:1] == b"<" and found[-1:] == b">" else found


def _attempt(rest: bytes) -> Attempt | None:
    found = _ATTEMPT.match(rest)
    if found is None:
        return None
    final, original, relay, status, word, text = found.groups(b"")
    state = _STATES.get(word)
    if state is None or _TWICE.search(text):
        return None
    text = text.rstrip()
    if state is not State.SENT:
        return Attempt(state, final, original, relay, status, text)
    handed = _HEIR.search(text) if relay == b"local" or _LOOPBACK.search(relay) else None
    arrived = not handed and (relay in _MAILBOXES or _ELSEWHERE.search(relay) is not None)
    heir = handed[1] if handed else b""
    return Attempt(state, final, original, relay, status, text, None, heir, arrived)


def _explain(attempt: Attempt) -> Explained:
    """Take ``host a[b] said: reply (in reply to c command)`` apart; a cut line lacks its end."""
    text = decoded(attempt.text)
    text = text.removesuffix(")")
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
    lines=_lines,
    told=_told,
    attempt=_attempt,
    explain=_explain,
    message_id=_message_id,
    reporter="double-bounce",
)
