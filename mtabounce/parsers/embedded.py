"""Delivery status fields in running text: their part was lost, or renamed, or never was one."""

import re

from mtabounce.parsers._mail import Findings, Mail, Parser, findings
from mtabounce.parsers._status import reports_in

_START = re.compile(r"(?im)^(?:Reporting-MTA|Final-Recipient|Original-Recipient|Action)[ \t]*:.*$")
_RECIPIENT = re.compile(r"(?im)^(?:Final|Original)-Recipient[ \t]*:")
_END = re.compile(r"(?im)^(?:Return-Path|Received|DKIM-Signature|--\S+)[ \t]*(?::|$)")
_QUOTED = re.compile(r"(?m)^>+ ?")


def _read(mail: Mail) -> Findings | None:
    if mail.is_forward and "forwarded message" in mail.text.lower():
        return _read_text(mail, _QUOTED.sub("", mail.text))
    return _read_text(mail, mail.prose[0]) if mail.is_notice else None


def _read_text(mail: Mail, text: str) -> Findings | None:
    start = _START.search(text)
    if start is None or not _RECIPIENT.search(text):
        return None
    end = _END.search(text, start.end())
    fields = text[start.start() : end.start() if end else len(text)]
    found = {
        report.final_recipient.lower(): report
        for report in reports_in(mail, fields, text[: start.start()])
    }
    return findings(found.values())


PARSER = Parser(rank=38, read=_read, marks=("final-recipient", "original-recipient"))
