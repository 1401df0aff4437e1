"""Reading what mail systems write for people: replies, commands and hosts in running text."""

import re

from mtabounce.model import EnhancedStatus

REASON_LIMIT = 2048  # characters of running text that are taken for a reason

_COMMAND = re.compile(
    r"in reply to (?:the )?(?P<a>[A-Za-z ]{3,30}?) command"  # Postfix
    r"|after (?:pipelined )?(?:sending )?(?P<b>RCPT TO|MAIL FROM|DATA|HELO|EHLO|STARTTLS|AUTH"
    r"|end of data|data block|initial connection)\b"  # Exim
    r"|(?:>>>|sent:) ?(?P<c>RCPT TO|MAIL FROM|DATA|HELO|EHLO|STARTTLS|AUTH|QUIT)\b"  # sendmail
    r"|did not like our (?P<d>RCPT TO|MAIL FROM|DATA|EHLO|HELO|STARTTLS|final DATA)"  # dma
    r"|(?P<e>does not like (?:recipient|sender)|failed after I sent the message"
    r"|greeting failed|my name was rejected)",  # qmail
    re.IGNORECASE,
)
_COMMANDS = {
    "rcpt": "RCPT TO",
    "mail": "MAIL FROM",
    "data": "DATA",
    "end of data": "DATA",
    "final data": "DATA",
    "data block": "DATA",
    "initial connection": "CONNECT",
    "does not like recipient": "RCPT TO",
    "does not like sender": "MAIL FROM",
    "failed after i sent the message": "DATA",
    "greeting failed": "CONNECT",
    "my name was rejected": "EHLO",
}
_HOST = r"[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9]"
_REMOTE = re.compile(
    rf"(?:^|[\s(])host (?P<a>{_HOST}) ?\[[0-9A-Fa-f.:]+\]"  # Postfix, Exim
    rf"|while talking to (?:\[?)(?P<b>{_HOST})"  # sendmail
    rf"|(?:Remote host|Giving up on|Connected to) (?P<c>{_HOST}|[0-9.]+)"  # qmail
    rf"|(?P<d>{_HOST}) \[[0-9A-Fa-f.:]+\] did not like our"  # dma
    rf"|rejected by the server for the recipient domain \S+ by (?P<e>{_HOST})"  # Gmail
    rf"|(?P<f>{_HOST}) (?:does not like (?:recipient|sender)|failed after I sent)",  # qmail
    re.IGNORECASE,
)
_REPLY = re.compile(
    r"(?:^|(?<=[\s:;>('\"\[]))([245]\d\d)(?:[ -]+\(?#?([245]\.\d{1,3}\.\d{1,3})\)?|[ -]+(?=\S)|$)",
    re.MULTILINE,
)
_SPACES = re.compile(r"\s+")
_BLANK = re.compile(r"\n[ \t]*\n")


def joined(text: str) -> str:
    """Return *text* as one line, no longer than a reason may be."""
    return _SPACES.sub(" ", text[: REASON_LIMIT * 2]).strip()[:REASON_LIMIT]


def command_in(text: str) -> str:
    """Return the SMTP command that *text* says was answered: "RCPT TO", "DATA"; "" for none."""
    found = _COMMAND.search(text)
    if found is None:
        return ""
    word = next(filter(None, found.groups())).lower().strip()
    return _COMMANDS.get(word) or _COMMANDS.get(word.split()[0]) or word.split()[0].upper()


def host_in(text: str) -> str:
    """Return the remote host that *text* names as the one that answered; "" for none."""
    found = _REMOTE.search(text)
    return next(filter(None, found.groups())) if found else ""


def has_reply(text: str) -> bool:
    """Whether an SMTP reply, or an enhanced status, stands in *text*."""
    return _REPLY.search(text) is not None or EnhancedStatus.find(text) is not None


def reason_after(text: str, address: str) -> str:
    """Return what *text* says right after *address*, up to a blank line; "" where nothing."""
    folded, wanted = text.lower(), address.lower()
    at = folded.find(wanted) if wanted and len(folded) == len(text) else -1
    while at >= 0:
        rest = text[at + len(wanted) : at + len(wanted) + REASON_LIMIT]
        reason = _BLANK.split(rest.lstrip(" \t>)]}'\":;,.\n"), maxsplit=1)[0]
        if any(char.isalpha() for char in reason):
            return joined(reason)
        at = folded.find(wanted, at + len(wanted))
    return ""
