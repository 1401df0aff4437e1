"""
The very last: a notice of failure that names one address, and nobody knows its dialect.

Only a mail system's own notice is read like this, and only if there is no second address in it
beside those of the notice itself. Where it names nobody, the returned mail's only recipient is it.
"""

import re

from mtabounce.address import is_address, parse
from mtabounce.model import Action
from mtabounce.parsers._dialect import ADDRESS, report_of
from mtabounce.parsers._mail import Findings, Mail, Parser, findings
from mtabounce.parsers._prose import essence, has_failed, is_delay, without_headers

_ADDRESSES = re.compile(ADDRESS)
_NOT_A_RECIPIENT = re.compile(r"(?i)^(?:post_?master|mailer-daemon|abuse|support|help\w*|info)@")
_SENDERS = re.compile(
    rf"(?im)(?:MAIL FROM:?|^ *From:|^ *Sender:|Message-ID:|sent by|message from) ?<?({ADDRESS})"
)


def _read(mail: Mail) -> Findings | None:
    text = without_headers(mail.prose[0])
    if not (mail.is_daemons and mail.is_automatic and has_failed(f"{mail.subject}\n{text}")):
        return None
    people = _named(mail, text) or _sent_to(mail)
    if len(people) != 1:
        return None
    action = Action.DELAYED if is_delay(f"{mail.subject}\n{text}") else Action.FAILED
    return findings([report_of(mail, people.pop(), action, essence(text), text)])


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


def _sent_to(mail: Mail) -> set[str]:
    """Return the recipient of the returned mail, if this is a report and it has only one."""
    if mail.type != "multipart/report":
        return set()
    return {address} if (address := parse(mail.sent_to)) else set()


PARSER = Parser(rank=95, read=_read)
