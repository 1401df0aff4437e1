"""Reading what mail systems write for people: replies, commands and hosts in running text."""

import re
from functools import lru_cache
from itertools import islice, takewhile

from mtabounce.model import EnhancedStatus
from mtabounce.parsers._words import (
    DELAYED,
    FAILED,
    FOOTERS,
    SEPARATORS,
    Marked,
    is_footer,
    is_separator,
    returned_headers_at,
)

_IN_MARGINS = " \t>"
_MARGIN = re.compile(r"\s*[ \t>]")
_SHORT = 400  # characters of a notice that is all reason
_FOOTERS_LIMIT = 20  # places in a text that are looked at
REASON_LIMIT = 2048  # characters of running text that are taken for a reason

_COMMAND = r"(RCPT TO|MAIL FROM|DATA|HELO|EHLO|LHLO|STARTTLS|AUTH|QUIT)\b"
# What stands before a command, in lower case, and the command behind it.
_COMMANDS = Marked(
    re.IGNORECASE,
    ("in reply to ", r"in reply to (?:the )?([A-Za-z ]{3,30}?) command"),  # Postfix
    (
        "after ",
        rf"after (?:pipelined )?(?:sending )?(?:{_COMMAND}|(end of data|data block|initial))",
    ),
    ("while sending ", rf"while sending (?:{_COMMAND}|(message|end of data))"),
    ("refused to talk to me", r"refused to (talk) to me"),
    ("did not like our ", rf"did not like our (?:final )?{_COMMAND}"),  # dma
    (">>> ", rf">>> {_COMMAND}"),  # sendmail, Courier
    ("sent <<< ", rf"Sent <<< {_COMMAND}"),  # InterScan
    ("sent >>> ", rf"Sent >>> {_COMMAND}"),
    ("smtp command ", rf"SMTP command {_COMMAND}"),  # m-FILTER
    ("does not like ", r"does not like (recipient|sender)"),  # qmail
    ("failed after i sent", r"failed after I sent the (message)"),
    ("greeting failed", r"(greeting) failed"),
    ("[rcpt_to]", r"\[(RCPT_TO)\]"),  # Yahoo
    ("[mail_from]", r"\[(MAIL_FROM)\]"),
    ("[data]", r"\[(DATA)\]"),
)
_SAME_COMMAND = {
    "end of data": "DATA",
    "data block": "DATA",
    "message": "DATA",
    "recipient": "RCPT TO",
    "rcpt_to": "RCPT TO",
    "sender": "MAIL FROM",
    "mail_from": "MAIL FROM",
    "initial": "CONNECT",
    "talk": "CONNECT",
    "greeting": "CONNECT",
}
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_HOSTS_BEHIND = Marked(
    re.IGNORECASE,
    ("host ", rf"host ({_HOST}) ?\[[0-9A-Fa-f.:]+\]"),  # Postfix, Exim
    ("while talking to ", rf"while talking to \[?({_HOST})"),  # sendmail
    ("giving up on ", rf"giving up on ({_HOST})"),  # qmail
    ("remote host ", rf"remote host ({_HOST}) said"),
    ("host: ", rf"host: ({_HOST})"),  # GMX
    ("recipient domain ", rf"recipient domain \S+ by ({_HOST})"),  # Gmail
)
_HOSTS_BEFORE = Marked(
    re.NOFLAG,
    ("] did not like our", rf"({_HOST}) \[[^\s\[\]]*$"),  # dma
    (" does not like ", rf"({_HOST})$"),  # qmail
    (" failed after i sent", rf"({_HOST})$"),
    ("] responded with failure", rf"({_HOST})\[[^\s\[\]]*$"),  # MailFoundry
)
_REPLY = re.compile(r"(?:^|[\s:;>('\"\[#])[245]\d\d(?:[ -]|$)", re.MULTILINE)
# A reply where it is quoted: at the start of a line, or behind a colon, a quote or a bracket.
_ANSWER = re.compile(
    r"(?:^[ \t<>#-]*|[:;'\"(<#][ \t]*)"
    r"([45][0-7]\d(?:[ \t]+#?|-|$)(?![ \t]*(?:hour|min|sec|day|byte|char))[\s\S])",
    re.MULTILINE,
)
# What the reply begins with, to be found quickly.
_DIGITS = re.compile(r"[45][0-7]\d(?<![^\s<>#:;'\"(]\d{3})(?=[ \t-]|$)", re.MULTILINE)
_BEFORE_DIGITS = frozenset(" \t<>#:;'\"(-")
_HEAD = re.compile(r"-+ ?Transcript of session follows ?-+ ?|\.\.\. while talking to \S+ ")
_TAIL = re.compile(
    r"(?: \(in reply to (?:the )?[A-Za-z ]{3,30} command\)| Giving up on [\w.:-]+"
    r"| ?-+SMTP command [A-Z ]+| \[(?:RCPT_TO|MAIL_FROM|DATA|CONNECT|HELO)\]"
    r"| 554 5\.0\.0 (?:\S+\.\.\. )?Service unavailable)+\s*$"  # sendmail's own, behind theirs
)
# IronPort puts a status and its words in front, and the reply in quotes after a hyphen.
_WRAPPED = re.compile(r"[245]\.\d{1,3}\.\d{1,3} ?- [A-Za-z][A-Za-z /-]{0,60} ([245]\d\d)-'(.*)'")
# Amazon SES puts the last reply in angle brackets behind its own, which says it expired.
_EXPIRED_WITH = re.compile(r"(\d{3} 4\.4\.7 Message expired[^<]{0,200})<([245]\d\d[^<>]+)>")
_REPEATED = re.compile(
    r"^[ \t>]*(?:to|cc|from|subject|sent|date|message-id|an|von|para|de|aan|da|à)[ \t]*:[^\n]*",
    re.IGNORECASE | re.MULTILINE,
)
_SAID = re.compile(r"host \S+ ?\[[^\]\s]*\] (?:said|refused to talk to me): ([245]\d\d[ -].*)")
_PARAGRAPH = re.compile(r"\n(?:[ \t]*\n)+")
# A line that is all recipient: in Exim's list they stand two blanks in, and what is said of them
# four.
_RECIPIENT = r" {0,3}<?[^\s<>@]{1,128}@[^\s<>@]{1,255}>?[ \t]*(?:\n|$)"
_NEXT_RECIPIENT = re.compile(r"[\s>]*\n" + _RECIPIENT)
# A blank line, or one that is the next recipient, or starts with it.
_END_OF_SAID = re.compile(
    r"\n[ \t]*\n|\n(?=<?[^\s<>@]{1,128}@[^\s<>@:]{1,255}>?:)|\n(?=" + _RECIPIENT + ")"
)
_IN_ADDRESSES = frozenset("+-._=")


def has_failed(text: str) -> bool:
    """Whether *text* says that a mail did not arrive."""
    return FAILED.occurs_in(" ".join(text.split()))


def is_delay(text: str) -> bool:
    """Whether *text* says that delivery will be tried again."""
    return DELAYED.occurs_in(" ".join(text.split()))


def split_returned(text: str) -> tuple[str, str]:
    """Part *text* into what was written about a mail, and that mail as it was returned."""
    at = _headers(text, _separator(text))
    return _without_footer(text[:at]), text[at:]


def _without_footer(text: str) -> str:
    """Leave out what a filter or a company wrote under a notice: that it was scanned, and so on."""
    for at in islice(FOOTERS.places_in(text), _FOOTERS_LIMIT):
        start = text.rfind("\n\n", 0, at + 1)
        if start <= 0 or not is_footer(text, start) or _answer(text[start:]):
            continue
        if has_failed(text[:start]):
            return text[:start]
    return text


def _separator(text: str) -> int:
    """Return where a line says that the returned mail follows; the end where none does."""
    for at in SEPARATORS.places_in(text):
        start = text.rfind("\n", 0, at) + 1
        if is_separator(text, start):
            return start
    return len(text)


def _headers(text: str, end: int) -> int:
    """Return where the headers of a mail start unannounced; *end* where they do not."""
    at = text.find("\n\n", 0, end)
    while at >= 0:
        if returned_headers_at(text, at + 2):
            return at + 2
        at = text.find("\n\n", at + 1, end)
    return end


def without_margin(text: str) -> str:
    """Return *text* without what each of its lines begins with, where it is set in or quoted."""
    if not _MARGIN.match(text):
        return text
    lines = text.split("\n")
    told = [line for line in lines if line.strip(_IN_MARGINS)] or [""]
    ends = zip(min(told), max(told), strict=False)  # what these two share, all share
    width = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1] in _IN_MARGINS, ends))
    return "\n".join(line[width:] for line in lines) if width else text


def without_headers(text: str) -> str:
    """Leave out the lines that repeat whom a mail was from and to: nothing failed by that."""
    return _REPEATED.sub("", text)


def joined(text: str) -> str:
    """Return *text* as one line, no longer than a reason may be."""
    return " ".join(text[: REASON_LIMIT * 2].split())[:REASON_LIMIT]


def reason_in(text: str) -> str:
    """Return the reason that *text* gives: the SMTP reply in it where one is, else all of it."""
    found = _answer(text)
    said = joined(text[found.start(1) :] if found else text)
    if head := _HEAD.match(said):
        said = said[head.end() :]
    return unwrapped(_TAIL.sub("", said).strip(" :-"))


def reply_in(text: str) -> str:
    """Return the first SMTP reply that *text* quotes; "" for none."""
    return reason_in(text) if _answer(text) else ""


def _answer(text: str) -> re.Match[str] | None:
    """Return the first reply that *text* quotes; what comes before its digits is passed over."""
    digits = _DIGITS.search(text)
    if digits is None:
        return None
    start = digits.start()
    while start and text[start - 1] in _BEFORE_DIGITS:
        start -= 1
    return _ANSWER.search(text, start)


def unwrapped(diagnostic: str) -> str:
    """Return the remote host's reply where the reporting MTA put words of its own around it."""
    if diagnostic.startswith("host ") and (found := _SAID.match(diagnostic)):
        return _TAIL.sub("", found[1])
    if found := _WRAPPED.match(diagnostic):
        return f"{found[1]} {found[2].strip()}"
    if found := _EXPIRED_WITH.match(diagnostic):
        return f"{found[2].strip()} ({found[1].strip()})"
    return diagnostic


def essence(text: str) -> str:
    """Return the reason in a whole notice: its lines that tell of failure, or hold a reply."""
    if len(text) < _SHORT or _answer(text):
        return reason_in(text)
    telling = [line for line in _PARAGRAPH.split(text) if has_failed(line)]
    return joined(" ".join(telling) or text)


def explanation(text: str, address: str) -> str:
    """Return what a notice of an unknown dialect says of *address*."""
    said = said_after(text, address)
    if has_reply(said) or (len(text) >= _SHORT and has_failed(said)):
        return reason_in(said)
    return essence(text)


def command_in(text: str) -> str:
    """Return the SMTP command that *text* says was answered: "RCPT TO", "DATA"; "" for none."""
    line, folded = _folded(text)
    for word, pattern in _COMMANDS.in_text(folded):
        if found := _behind(line, folded, word, pattern):
            return _SAME_COMMAND.get(found.lower(), found.upper())
    return ""


def host_in(text: str) -> str:
    """Return the remote host that *text* names as the one that answered; "" for none."""
    line, folded = _folded(text)
    for word, pattern in _HOSTS_BEHIND.in_text(folded):
        if found := _behind(line, folded, word, pattern):
            return found
    for word, pattern in _HOSTS_BEFORE.in_text(folded):
        if found := _before(line, folded, word, pattern):
            return found
    return ""


@lru_cache(maxsize=4)  # what a text says of the command and of the host is asked one by one
def _folded(text: str) -> tuple[str, str]:
    """Return *text* as one line, and that in lower case."""
    line = " ".join(text.split())
    return line, line.lower()


def _behind(text: str, folded: str, word: str, pattern: re.Pattern[str]) -> str:
    """Return what *pattern* takes at the first places of *word* at which it matches."""
    at = folded.find(word)
    for _ in range(5):
        if at < 0:
            break
        if found := pattern.match(text, at):
            return found[found.lastindex or 0].strip()
        at = folded.find(word, at + 1)
    return ""


def _before(text: str, folded: str, word: str, pattern: re.Pattern[str]) -> str:
    at = folded.find(word)
    if at < 0:
        return ""
    found = pattern.search(text[max(at - 300, 0) : at])
    return found[1] if found else ""


def has_reply(text: str) -> bool:
    """Whether an SMTP reply, or an enhanced status, stands in *text*."""
    return _REPLY.search(text) is not None or EnhancedStatus.find(text) is not None


def said_after(text: str, address: str) -> str:
    """Return what *text* says right after *address*, up to a blank line; "" where nothing."""
    at = text.find(address)
    while at >= 0:
        start = at + len(address)
        rest = text[start : start + REASON_LIMIT]
        said = _END_OF_SAID.split(rest.lstrip(" \t>)]}'\":;,.\n"), maxsplit=1)[0]
        is_other = _goes_on(text[at - 1 : at]) or _NEXT_RECIPIENT.match(rest)
        is_repeated = _REPEATED.match(text, text.rfind("\n", 0, at) + 1)
        if any(map(str.isalpha, said)) and not is_other and not is_repeated:
            return said
        at = text.find(address, start)
    return ""


def _goes_on(before: str) -> bool:
    """Whether the character *before* an address makes it the end of a longer one."""
    return before.isalnum() or before in _IN_ADDRESSES
