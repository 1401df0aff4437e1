"""
An SMTP reply, taken out of what MTAs wrap around it, and its codes.

Regular expressions of the standard library meet hostile text here, so they hold no nested or
adjacent repeats; texts are cut to LONGEST first.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from ahocorasick_rs import AhoCorasick

from mtabounce.model import EnhancedStatus

LONGEST = 8192  # characters that are read; RFC 5321 §4.5.3.1.5 allows 512 bytes a line

# A reply code is no part of a word, an address or a version: "550 x", "550-5.1.1 x", "#550 5.1.1",
# "550: 5.1.1", "<421 4.4.2 …", "550-'5.7.1 …"; the status may stand right behind it.
_CODE = re.compile(
    r"([45][0-7]\d)(?<![\w.@/:+-]\d{3})(?!\w|[.:]\d|\.\w|[%@])"
    r"(?:[ :#('\"-]{1,3}([245]\.\d{1,3}\.\d{1,3})(?![\d.]*\d|\w))?"
)
# What must not stand before it is looked at behind its first digit: tried before, at each letter
# of the text, it would take twice as long. "RFC 2821 4.1.3" is a section.
_STATUS = re.compile(
    r"([45](?<![\w.].)\.(?<!RFC\d{4} ..)(?<!RFC \d{4} ..)(?<!ection ..)\d{1,3}\.\d{1,3})"
    r"(?![\d.]*\d|[\w-]*@|\w)"
)

# What stands before the remote server's own words: Postfix, Exim, qmail, Exchange, Gmail, Domino,
# IronPort ("5.1.0 - Unknown address error 550-'5.7.1 …"), SparkPost and others.
_LEAD = re.compile(
    r"\] ?(?::\d{1,5} )?said: |refused to talk to me: |[Ss]erver returned|"
    r"(?:SMTP|LMTP) error from remote |LMTP error after |[Hh]ost said: |did not like our |"
    r"responded with|responded as follows: |[45]\.\d\.\d{1,3} - [A-Z]|[Rr]esponse was: |"
    r"[Tt]echnical report: |Diagnostic-Code: |SMTP Protocol Returned an? \w{1,20} Error "
)
# One of these stands in every lead: cheaper to look for than the leads.
_LEAD_MARKS = AhoCorasick(
    [
        *(" said: ", "refused to talk", "erver returned", "TP error ", "did not like"),
        *("responded", " - ", "esponse was", "report: ", "-Code: ", "Protocol Returned"),
    ]
)
_LEAD_REACH = 300  # characters from the lead to the reply
_HOST = re.compile(r"\bhost ([\w.-]{1,255}) ?\[", re.ASCII)
_NAMED = (
    re.compile(  # who speaks, where nothing else says so: a link to its help, a mark of its own
        r"https?://([\w.-]{1,255})|\[([\w-]{1,63}(?:\.[\w-]{1,63}){1,7}\.[A-Za-z]{2,63}) "
        r"|- ([gn])smtp\b",
        re.ASCII,
    )
)
_MARKS = {"g": "google.com", "n": "naver.com"}
_ANSWERED = re.compile(r" ?\(in reply to (?:the )?([A-Za-z ]{2,24}?)(?: command)?\)")
_OTHER = re.compile(r" @[\w.-]{1,255}: (?=[45]\d\d )")  # of another recipient, in the same field
_COMMANDS = re.compile(
    r"\b(RCPT TO|MAIL FROM|end of data|DATA|initial connection|EHLO|HELO|STARTTLS)\b", re.IGNORECASE
)
_DELIMITERS = re.compile(r".*[<>\"'(\[,:;=]")

_SAYS_LITTLE = frozenset({(0, 0), (4, 7)})  # x.0.0, x.4.7: another status may say more
_ASIDE = "503"  # "need RCPT command" follows each refused recipient of a pipelined batch


# A reply in one line, without repeated codes, and of addresses only the domains; its code and
# status; the command that it answers, in upper case ("RCPT TO", "END OF DATA", "CONNECT"), and the
# host that said it, as its wrapping told. Not a class: making one takes as long as reading a code.
Reply = tuple[str, int | None, EnhancedStatus | None, str, str]


def read_reply(text: str) -> Reply:
    """Return the reply that *text* is or holds."""
    text, host, command = joined(text), "", ""
    if not (text[:3].isdigit() and text[3:4] in (" ", "-")):
        text, host, command = _unwrapped(text)
    if "(in reply to" in text and (answered := _ANSWERED.search(text)):
        command = answered[1].upper()
        text = text[: answered.start()] + text[answered.end() :]
    code, status = codes(text)
    text = without_repeats(text, code)
    if "@" in text:
        text = without_addresses(text)
        if text.count("@") > 1 and (other := _OTHER.search(text)):
            text = text[: other.start()]
    return text, code, status, command, host


def named_host(text: str) -> str:
    """Return a host that the words of *text* name as the speaker's, "" where they name none."""
    if "[" not in text and "://" not in text and "smtp" not in text:
        return ""
    found = _NAMED.search(text)
    return "" if found is None else found[1] or found[2] or _MARKS[found[3]]


def joined(text: str) -> str:
    r"""
    Return *text* as one line of single spaces, cut to LONGEST; Exim's ``\n`` is a space.

    What is no character at all (half a surrogate pair, which JSON may hold) becomes "?".
    """
    text = text[:LONGEST]
    if text.isprintable() and "  " not in text and "\\n" not in text:  # it is one already
        return text.strip(" ")
    text = text.encode(errors="replace").decode()
    return " ".join(text.replace("\\n", " ").split())


def codes(text: str) -> tuple[int | None, EnhancedStatus | None]:
    """Return the reply code and the enhanced status of a one-line reply, None where missing."""
    start = _CODE.match(text)
    if start is None:
        return _codes_of([hit for hit in _CODE.findall(text) if hit[0] != _ASIDE], text)
    code, status = start.groups()
    if status and (telling := _telling(status)):
        return int(code), telling
    if not status and text.find(code, 3) < 0:
        return int(code), _loose_status(text)
    others = _CODE.findall(text, start.end())
    return _codes_of([(code, status), *(hit for hit in others if hit[0] != _ASIDE)], text)


def _codes_of(
    found: Sequence[tuple[str, str | None]], text: str
) -> tuple[int | None, EnhancedStatus | None]:
    """Return the first of the codes *found* in *text*, and the status that goes with it."""
    if not found:
        return None, _loose_status(text)
    first = found[0][0]
    own = next((status for code, status in found if status and code == first), None)
    if own is None:
        return int(first), _loose_status(text)
    telling = filter(None, (_telling(status) for _, status in found if status))
    return int(first), _telling(own) or next(telling, None) or _status(own)


def without_repeats(text: str, code: int | None) -> str:
    """Return *text* without the codes that each line of a multi-line reply repeats."""
    if code is None or text.count(digits := str(code)) < 2:
        return text
    start = text.find(digits) + 3
    repeated = rf"(?<= ){code}[ -](?:[245]\.\d{{1,3}}\.\d{{1,3}} )?"
    return text[:start] + re.sub(repeated, "", text[start:])


def without_addresses(text: str) -> str:
    """Return *text* with only the domain of each address: "<@example.org>: no such user"."""
    return " ".join(_domain_of(word) if "@" in word else word for word in text.split(" "))


def _unwrapped(text: str) -> tuple[str, str, str]:
    """Return the reply that *text* wraps, the host that said it, and the command it answers."""
    lead = _LEAD.search(text) if _LEAD_MARKS.find_matches_as_indexes(text) else None
    if lead is None or _CODE.search(text, 0, lead.start()):
        return text, "", _qmail_command(text)
    reply = _CODE.search(text, lead.end(), lead.end() + _LEAD_REACH)
    start = reply.start() if reply else lead.end() if lead[0].endswith(": ") else 0
    wrapping = text[: start or lead.end()]
    host = _HOST.search(wrapping)
    return text[start:], host[1] if host else "", _command_in(wrapping, lead[0])


def _command_in(wrapping: str, lead: str) -> str:
    if lead.startswith("refused to talk"):
        return "CONNECT"
    if found := _COMMANDS.search(wrapping):
        named = found[1].upper()
        return "CONNECT" if named == "INITIAL CONNECTION" else named
    return _qmail_command(wrapping)


def _qmail_command(text: str) -> str:
    if "does not like recipient" in text:
        return "RCPT TO"
    return "MAIL FROM" if "sender was rejected" in text else ""


def _loose_status(text: str) -> EnhancedStatus | None:
    if "5." not in text and "4." not in text:
        return None
    found = _STATUS.search(text)
    return _status(found[1]) if found else None


@lru_cache(4096)
def _status(text: str) -> EnhancedStatus:
    return EnhancedStatus(*map(int, text.split(".")))


@lru_cache(4096)
def _telling(text: str) -> EnhancedStatus | None:
    """Return the status that *text* is; None where another one may say more."""
    status = _status(text)
    return None if (status.subject, status.detail) in _SAYS_LITTLE else status


def _domain_of(word: str) -> str:
    *locals_, domain = word.split("@")
    kept = (found[0] if (found := _DELIMITERS.match(local)) else "" for local in locals_)
    return "@".join([*kept, domain])
