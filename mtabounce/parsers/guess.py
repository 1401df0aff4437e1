"""
The very last: a notice of failure that names one address, and nobody knows its dialect.

Only a mail system's own notice is read like this, and only if there is no second address in it
beside those of the notice itself. Where it names nobody, it is about those to whom the mail went,
as a filter repeats them (MailScanner), or the returned mail's only recipient.
"""

import re

from mtabounce.address import is_address, parse
from mtabounce.model import Action
from mtabounce.parsers._dialect import ADDRESS, report_of
from mtabounce.parsers._mail import Findings, Mail, Parser, findings
from mtabounce.parsers._prose import essence, has_failed, is_delay, without_headers

_ADDRESSES = re.compile(ADDRESS)
_NOT_A_RECIPIENT = re.compile(r"(?i)^(?:post_?master|mailer-daemon|abuse|support|help\w*|info)@")
_TO = re.compile(r"(?im)^[ \t>]*To:([^\n]{1,2000})$")
_YOURS = re.compile(
    r"(?i)(?:e-?mail|message|mail|attachment)s?\s+(?:that\s+|which\s+)?you\s+sent|sent by you"
)
# What was kept from its reader, or said to a visitor: those whom it names have not failed.
_OTHERS = re.compile(
    r"(?i)\b(?:spam|junk|quarantine)[ -](?:digest|summary|report)\b"
    r"|\brelease\b[^\n]{0,40}\bdelete\b|^ ?Out: 220 ",
    re.MULTILINE,
)
_SYSTEMS = re.compile(r"(?i)daemon|post_?master|bounce|^root@|deliver")
_LIST_SERVER = re.compile(r"(?i)\blistserv@")
_MANY = 20  # more recipients than this are a list's
_SENDERS = re.compile(
    rf"(?im)(?:MAIL FROM:?|^ *From:|^ *Sender:|Message-ID:|sent by|message from) ?<?({ADDRESS})"
)


def _read(mail: Mail) -> Findings | None:
    text = without_headers(mail.prose[0])
    if not (_is_systems(mail) and has_failed(f"{mail.subject}\n{text}")):
        return None
    named = _named(mail, text)
    if len(named) > 1 or _OTHERS.search(f"{mail.subject}\n{text}"):
        return None
    people = named or _repeated(mail) or _sent_to(mail)
    action = Action.DELAYED if is_delay(f"{mail.subject}\n{text}") else Action.FAILED
    said = essence(text)
    return findings(report_of(mail, name, action, said, text) for name in sorted(people))


def _is_systems(mail: Mail) -> bool:
    """Whether a mail system signs it: nobody who could be answered, and no person beside it."""
    path = parse(mail.headers.get(b"return-path"))
    if mail.is_talk or (path and not _SYSTEMS.search(path)):
        return False
    is_list_servers = mail.is_notice and _LIST_SERVER.search(mail.sender) is not None
    return mail.is_automatic and (mail.is_daemons or is_list_servers)


def _named(mail: Mail, text: str) -> set[str]:
    own = {mail.headers.get(name).lower() for name in (b"to", b"from", b"delivered-to")}
    found = {name.strip(".") for name in _ADDRESSES.findall(text)[:200]}
    found -= {name.strip(".") for name in _SENDERS.findall(text)}
    return {
        name
        for name in found
        if is_address(name)
        and not _NOT_A_RECIPIENT.match(name)
        and not any(name.lower() in header for header in own)
    }


def _repeated(mail: Mail) -> set[str]:
    """Return to whom the mail went by the lines that repeat its headers, if it was to few."""
    lines = _TO.findall(mail.prose[0]) if _YOURS.search(mail.prose[0]) else []
    people = {name for line in lines for name in _named(mail, line)}
    return people if len(people) <= _MANY else set()


def _sent_to(mail: Mail) -> set[str]:
    """Return the recipient of the returned mail, if it has only one, and is attached here."""
    if mail.type != "multipart/report" and (mail.returned is None or mail.is_talk):
        return set()
    address = parse(mail.sent_to)
    is_its_own = address.lower() == parse(mail.headers.get(b"to")).lower()
    return {address} if address and not is_its_own else set()


PARSER = Parser(rank=95, read=_read)
