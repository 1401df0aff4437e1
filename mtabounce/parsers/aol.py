"""AOL's own: screen names without a domain."""

import re
from collections.abc import Iterator

from mtabounce.address import is_address, is_local_part
from mtabounce.model import Action, Report
from mtabounce.parsers._dialect import report_of
from mtabounce.parsers._mail import Findings, Mail, Parser, findings

_INTRODUCTION = re.compile(
    r"(?P<reason>your mail to the following recipients? could not be delivered[^\n]*?"
    r"(?:\n\S[^\n]*)*?(?::[ \t]*(?=\n)|(?=\n[ \t])))\n",
    re.IGNORECASE,
)
_NAMES = re.compile(r"(?:[ \t]*\S+[ \t]*(?:\n|$))*")  # in HTML nothing is indented


def _read(mail: Mail) -> Findings | None:
    found = _INTRODUCTION.search(mail.prose[0]) if "aol.com" in mail.sender.lower() else None
    return findings(_reports(mail, found)) if found else None


def _reports(mail: Mail, found: re.Match[str]) -> Iterator[Report]:
    names = _NAMES.match(mail.prose[0].rstrip(), found.end())
    for name in names[0].split() if names else ():
        address = name if "@" in name else f"{name}@aol.com"
        if is_address(address) or is_local_part(name):
            yield report_of(mail, address, Action.FAILED, found["reason"])


PARSER = Parser(rank=43, read=_read, marks=("your mail to the following recipient",))
