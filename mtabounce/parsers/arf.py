"""
Complaints: Abuse Reporting Format (RFC 5965, 6591), and what came before it.

Outlook.com's JMRP sends the mail itself with one header more; Apple sends an unsubscribe mail.
A provider may hide who complained: then ``final_recipient`` is "", and the complaint is found
by the Message-ID or the return path; ``original_recipient`` holds what was written instead.
"""

import re

from mtabounce.address import parse
from mtabounce.mime import Headers, Part
from mtabounce.model import Action, Outcome, Report
from mtabounce.parsers._dates import parse_date
from mtabounce.parsers._fields import Fields, host_of, read_groups
from mtabounce.parsers._mail import Findings, Mail, Parser, findings

_HIDDEN = re.compile(r"(?i)^(?:\[?redacted\]?|undisclosed|hidden|withheld|anonymi[sz]ed|x{3,})\b")
_JMRP = b"x-hmxmroriginalrecipient"
_JMRP_SUBJECT = "complaint about message from"
_NO_COMPLAINT = frozenset({"not-spam", "auth-failure", "dmarc"})
_REJECTED = frozenset({"reject", "policy"})
_RECIPIENT_FIELDS = (
    "original-rcpt-to",
    "removal-recipient",
    "x-original-rcpt-to",
    "final-recipient",
)


def _read(mail: Mail) -> Findings | None:
    part = next((part for part in mail.parts if part.type == "message/feedback-report"), None)
    if part is not None:
        return findings([_report(mail, part)])
    return _jmrp(mail) or _apple(mail)


def _report(mail: Mail, part: Part) -> Report:
    fields, _ = read_groups(part.text)
    written = _written(mail, fields)
    kind = fields.get("feedback-type", "abuse").strip().lower() or "abuse"
    original = mail.original
    if "original-message-id" in fields:
        original = original | {"original_message_id": fields["original-message-id"].strip("<> ")}
    return Report(
        outcome=_outcome(kind, fields),
        final_recipient="" if _HIDDEN.search(written) else written,
        original_recipient=written if _HIDDEN.search(written) else "",
        action=Action.FAILED if _outcome(kind, fields) is Outcome.BOUNCE else None,
        diagnostic_code=_explanation(kind, fields),
        reporting_mta=host_of(fields.get("reporting-mta", "")),
        original_envelope_id=fields.get("original-envelope-id", ""),
        arrival_date=parse_date(fields.get("arrival-date", "") or fields.get("received-date", "")),
        feedback_type=kind,
        native_code=fields.get("user-agent", ""),
        occurred_at=parse_date(mail.headers.get(b"date")),
        **original,
    )


def _written(mail: Mail, fields: Fields) -> str:
    for name in _RECIPIENT_FIELDS:
        if address := parse(fields.get(name, "")):
            return address
    if mail.returned is None:
        return ""
    headers = Headers(mail.returned.data.lstrip(b"\n").partition(b"\n\n")[0])
    for header in (_JMRP, b"x-rcpt-to", b"to"):
        if address := parse(headers.get(header)):
            return address
    return ""


def _outcome(kind: str, fields: Fields) -> Outcome:
    """Return what kind of news it is: nobody complained where authentication failed."""
    if kind not in _NO_COMPLAINT:
        return Outcome.COMPLAINT
    is_rejected = fields.get("delivery-result", "").strip().lower() in _REJECTED
    return Outcome.BOUNCE if kind == "auth-failure" and is_rejected else Outcome.DELIVERED


def _explanation(kind: str, fields: Fields) -> str:
    if kind != "auth-failure":
        return ""
    failed = fields.get("auth-failure", "")
    return f"authentication failed: {failed} {fields.get('authentication-results', '')}".strip()


def _jmrp(mail: Mail) -> Findings | None:
    part = mail.returned
    headers = mail.headers
    original = mail.original
    if part is not None and _JMRP_SUBJECT in mail.subject.lower():
        headers = Headers(part.data.lstrip(b"\n").partition(b"\n\n")[0])
    elif _JMRP in headers:
        original = mail.original_of(headers)
    address = parse(headers.get(_JMRP))
    if not address:
        return None
    return findings([_complaint(mail, address, "abuse", original)])


def _apple(mail: Mail) -> Findings | None:
    if mail.headers.raw(b"x-apple-unsubscribe").strip().lower() != b"true":
        return None
    return findings([_complaint(mail, parse(mail.sender), "opt-out", {})])


def _complaint(mail: Mail, address: str, kind: str, original: dict[str, object]) -> Report:
    facts: dict[str, object] = {
        "outcome": Outcome.COMPLAINT,
        "final_recipient": address,
        "feedback_type": kind,
        "occurred_at": parse_date(mail.headers.get(b"date")),
    }
    return Report(**(facts | original))  # type: ignore[arg-type]


PARSER = Parser(rank=12, read=_read)
