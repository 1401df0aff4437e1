"""
Complaints: Abuse Reporting Format (RFC 5965, 6591), and what came before it.

Outlook.com's JMRP sends the mail itself with one header more; Apple sends an unsubscribe mail.
A provider may hide who complained: then ``final_recipient`` is "", and the complaint is found
by the Message-ID or the return path; ``original_recipient`` holds what was written instead.
"""

import re

from mtabounce.address import parse
from mtabounce.model import Action, Outcome, Report
from mtabounce.parsers._dates import parse_date
from mtabounce.parsers._fields import Fields, host_of, read_groups
from mtabounce.parsers._mail import LOOKED_FOR, Findings, Mail, Parser, findings

_HIDDEN = re.compile(r"(?i)^(?:\[?redacted\]?|undisclosed|hidden|withheld|anonymi[sz]ed|x{3,})\b")
_JMRP = b"x-hmxmroriginalrecipient"
_JMRP_SUBJECT = "complaint about message from"
_NO_COMPLAINT = frozenset({"not-spam", "auth-failure", "dmarc"})
_REJECTED = frozenset({"reject", "policy"})
_EACH = re.compile(r"(?im)^original-rcpt-to[ \t]*:[ \t]*(\S.{0,400})$")
_RETURNED = (_JMRP, b"x-rcpt-to", b"to")
_RECIPIENT_FIELDS = (
    "removal-recipient",
    "x-original-rcpt-to",
    "final-recipient",
)


def _read(mail: Mail) -> Findings | None:
    part = next((part for part in mail.parts if part.type == "message/feedback-report"), None)
    if part is not None:
        fields, _ = read_groups(part.text)
        return findings(_report(mail, fields, who) for who in _written(mail, fields, part.text))
    return _jmrp(mail) or _apple(mail)


def _report(mail: Mail, fields: Fields, written: str) -> Report:
    kind = fields.get("feedback-type", "abuse").strip().lower() or "abuse"
    is_hidden = _HIDDEN.search(written) or _is_lists_own(mail, written)
    original = mail.original
    if "original-message-id" in fields:
        original = original | {"original_message_id": fields["original-message-id"].strip("<> ")}
    return Report(
        outcome=_outcome(kind, fields),
        final_recipient="" if is_hidden else written,
        original_recipient=written if is_hidden else "",
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


def _written(mail: Mail, fields: Fields, text: str) -> list[str]:
    """Return who complained, as far as it is written: one "" where it is not."""
    several = [address for said in _EACH.findall(text)[:LOOKED_FOR] if (address := parse(said))]
    if several:
        return list(dict.fromkeys(several))  # RFC 5965 §3.2: the field may come again
    for name in _RECIPIENT_FIELDS:
        if address := parse(fields.get(name, "")):
            return [address]
    headers = mail.returned_headers
    found = (parse(headers.get(name)) for name in _RETURNED) if headers else ()
    return [next(filter(None, found), "")]


def _is_lists_own(mail: Mail, address: str) -> bool:
    """Whether the returned mail shows that *address* is a list's or the sender's: no reader's."""
    headers = mail.returned_headers
    if headers is None or not address:
        return False
    key = address.lower()
    posted = headers.get(b"list-post").lower().partition("mailto:")[2]
    return (
        posted.startswith(key)
        or key.replace("@", ".") in headers.get(b"list-id").lower()
        or key == parse(headers.get(b"from")).lower()
    )


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
    is_forwarded = _JMRP_SUBJECT in mail.subject.lower() and mail.returned is not None
    returned = mail.returned_headers if is_forwarded else None
    headers = mail.headers if returned is None else returned
    address = parse(headers.get(_JMRP)) if _JMRP in headers else ""
    if not address:
        return None
    return findings([_complaint(mail, address, "abuse", mail.original_of(headers))])


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
