"""
Unknown dialects: the recipients of the returned mail, where the text says that they failed.

The words of such a notice are not known, but two things agree in it: an address that the notice
names, and one to which the returned mail was sent.
"""

import re

from mtabounce.address import is_address, parse
from mtabounce.model import Action
from mtabounce.parsers._dialect import ADDRESS, report_of
from mtabounce.parsers._mail import Findings, Mail, Parser, findings
from mtabounce.parsers._prose import explanation, has_failed, is_delay, without_headers

_ADDRESSES = re.compile(ADDRESS)
_MANY = 20  # more recipients than this are a list's, and named for another reason


def _read(mail: Mail) -> Findings | None:
    if not mail.is_automatic or not has_failed(mail.prose[0]):
        return None
    text = without_headers(mail.prose[0])
    sent_to = {parse(entry).lower() for entry in mail.sent_to.split(",")[:_MANY]} - {""}
    named = dict.fromkeys(name.strip(".") for name in _ADDRESSES.findall(text)[:200])
    action = Action.DELAYED if is_delay(f"{mail.subject}\n{text}") else Action.FAILED
    return findings(
        report_of(mail, name, action, explanation(text, name), text)
        for name in named
        if name.lower() in sent_to and is_address(name)
    )


PARSER = Parser(rank=90, read=_read)
