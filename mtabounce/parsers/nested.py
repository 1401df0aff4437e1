"""Bounces inside of mails: forwarded as they are, by a machine or by hand."""

import re
from collections.abc import Iterator

from mtabounce.parsers import _status
from mtabounce.parsers._mail import Findings, Mail, Parser

_ENVELOPE = re.compile(r"(?im)^From (?:MAILER-DAEMON|<>|\S+@\S+)[ \t][^\n]*\d\d:\d\d[^\n]*\n")
_DEPTH = 3  # mails inside each other
_WIDTH = 10  # mails beside each other


def _read(mail: Mail) -> Findings | None:
    return _inside(mail, _DEPTH)


def _inside(mail: Mail, depth: int) -> Findings | None:
    if depth and (mail.is_automatic or mail.is_forward):
        for inner in _mails_in(mail):
            if inner.is_daemons and (found := _status.read(inner) or _inside(inner, depth - 1)):
                return found
    return None


def _mails_in(mail: Mail) -> Iterator[Mail]:
    embedded = [part for part in mail.parts if part.type == "message/rfc822"]
    for part in embedded[:_WIDTH]:
        yield Mail(part.data, mail.names)
    if envelope := _ENVELOPE.search(mail.text):
        yield Mail(mail.text[envelope.end() :].encode(), mail.names)


PARSER = Parser(rank=80, read=_read)
