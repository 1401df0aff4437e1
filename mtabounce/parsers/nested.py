"""Bounces inside of mails: forwarded as they are, by a machine or by hand."""

import re
from collections.abc import Iterator

from mtabounce.model import Outcome
from mtabounce.parsers._mail import Findings, Mail, Parser
from mtabounce.parsers._registry import recognize

_ENVELOPE = re.compile(r"(?im)^From (?:MAILER-DAEMON|<>|\S+@\S+)[ \t][^\n]*\d\d:\d\d[^\n]*\n")
_TOLD = (Outcome.COMPLAINT, Outcome.BOUNCE, Outcome.DELAYED, Outcome.DELIVERED)
_DEPTH = 3  # mails inside each other
_WIDTH = 10  # mails beside each other


def _read(mail: Mail) -> Findings | None:
    if mail.depth == _DEPTH or not (mail.is_automatic or mail.is_forward):
        return None
    for inner in _mails_in(mail):
        if inner.is_daemons or inner.type == "multipart/report":
            _, found = recognize(inner)
            if found.outcome in _TOLD:
                return found
    return None


def _mails_in(mail: Mail) -> Iterator[Mail]:
    embedded = [part for part in mail.parts if part.type == "message/rfc822"]
    for part in embedded[:_WIDTH]:
        yield Mail(part.data, mail.names, depth=mail.depth + 1)
    if envelope := _ENVELOPE.search(mail.text):
        yield Mail(mail.text[envelope.end() :].encode(), mail.names, depth=mail.depth + 1)


PARSER = Parser(rank=80, read=_read)
