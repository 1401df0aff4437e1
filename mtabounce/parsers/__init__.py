"""
Bytes in, reports out: one module for each dialect of bounce. Pure.

A module declares one ``PARSER``. Parsers are tried by rank; the first that recognizes the mail
decides. A parser names marks, words that its dialect cannot do without; all marks of all parsers
are looked for in one pass, so that most are never called.
"""

from mtabounce.mime import (
    DEPTH_LIMIT,
    PART_LIMIT,
    REPORT_LIMIT,
    STRUCTURE_LIMIT,
    TEXT_LIMIT,
    fingerprint,
    fingerprint_of,
)
from mtabounce.model import HeaderNames, Outcome, Reading, Report
from mtabounce.parsers._mail import (
    RECIPIENT_LIMIT,
    Findings,
    Mail,
    Parser,
    polish,
    weightiest,
)
from mtabounce.parsers._registry import recognize

__all__ = ["HeaderNames", "Parser", "gist", "read"]

_DEFAULT_NAMES = HeaderNames()
_REPORT = "multipart/report"
_FIELDS_ONLY = "dsn"  # the parser that finds recipients in fields, not in the text
_FATES = (Outcome.BOUNCE, Outcome.DELAYED, Outcome.DELIVERED)


def read(content: bytes, names: HeaderNames = _DEFAULT_NAMES) -> Reading:
    """Return what a mail says. Total: whatever the bytes are, there is a reading."""
    mail = Mail(content, names)
    name, found = recognize(mail)
    if mail.is_unread and (found.reports or mail.type == _REPORT):
        mail = Mail(content, names, REPORT_LIMIT)
        name, found = recognize(mail)
    reports = tuple(polish(report) for report in found.reports if not _is_cut(mail, report))
    return Reading(
        outcome=weightiest(reports) or Outcome.UNRECOGNIZED,
        reports=reports,
        parser=name if reports else "",
        note=_note(mail, name, found),
        fingerprint=_fingerprint(mail, content),
        relayed=mail.relayed,
        arrived_at=mail.arrived_at,
        return_paths=mail.return_paths if reports else (),
    )


def _note(mail: Mail, parser: str, found: Findings) -> str:
    """Return what of *mail* was left out, where that may have named recipients; "" for nothing."""
    if found.is_cut:
        return f"more than {RECIPIENT_LIMIT} recipients: only the first {RECIPIENT_LIMIT} are read"
    if mail.is_unread and (found.outcome in _FATES or mail.type == _REPORT):
        return f"longer than {REPORT_LIMIT >> 20} MiB: recipients further on are not read"
    if found.outcome in _FATES and parser != _FIELDS_ONLY and mail.is_text_cut:
        return f"more than {TEXT_LIMIT >> 10} KiB of text: recipients further on are not read"
    if found.outcome is Outcome.UNRECOGNIZED and mail.is_unwalked:
        return f"more than {PART_LIMIT} parts, or deeper than {DEPTH_LIMIT}: not all are read"
    return ""


def _fingerprint(mail: Mail, content: bytes) -> bytes:
    is_whole = len(content) <= STRUCTURE_LIMIT  # then its line ends need not be unified again
    return fingerprint_of(mail.head, mail.body) if is_whole else fingerprint(content)


def _is_cut(mail: Mail, report: Report) -> bool:
    """Whether the mail ends in the middle of the recipient: then it may be another's address."""
    recipient = report.final_recipient.encode("utf-8", "replace").rstrip(b".")
    tail = mail.body[-400:].rstrip(b".")
    if tail.endswith(recipient):
        return bool(recipient)
    local = recipient.partition(b"@")[0]  # where a parser added the domain
    return bool(local) and tail.endswith(local) and recipient not in mail.body


def gist(content: bytes) -> str:
    """Return what a person would look at first: the subject, and how the text begins."""
    mail = Mail(content, _DEFAULT_NAMES)
    return f"{mail.subject}: {mail.text[:400]}"
