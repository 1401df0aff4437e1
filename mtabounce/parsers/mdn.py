"""
Rejections that come as a disposition notification: Sieve's ``reject`` (RFC 5429 §2.1.2).

A disposition that says no more than "displayed" or "deleted unread" is a receipt, and no bounce.
"""

import re

from mtabounce.model import Action, Outcome, Report
from mtabounce.parsers._dates import parse_date
from mtabounce.parsers._fields import Fields, read_groups, recipient_of
from mtabounce.parsers._mail import Findings, Mail, Parser, findings, message_id
from mtabounce.parsers._prose import joined

_TYPES = frozenset({"message/disposition-notification", "message/global-disposition-notification"})
_REJECTED = re.compile(
    r"(?i)(?:was|has been) (?:automatically )?(?:rejected|refused)|automatically rejected"
    r"|refused by the recipient'?s mail filter|could not be delivered|quota"
)
_AUTOMATIC = re.compile(
    r"(?i)automatic-action\s*/\s*MDN-sent-automatically\s*;\s*(?:deleted|denied|failed)"
)
_SUBJECT = re.compile(r"(?i)^(?:automatically )?rejected|^refused|automatically rejected")
_INTRODUCTION = re.compile(r"(?is)^.{0,400}?automatically rejected:?\s*")


def _read(mail: Mail) -> Findings | None:
    part = next((part for part in mail.parts if part.type in _TYPES), None)
    if part is None:
        return None
    message, recipients = read_groups(part.text)
    return findings([_report(mail, message | (recipients[0] if recipients else {}))])


def _report(mail: Mail, fields: Fields) -> Report:
    outcome = Outcome.BOUNCE if _is_rejection(mail, fields) else Outcome.DELIVERED
    original = mail.original
    if not original.get("original_message_id"):
        identifier = message_id(fields.get("original-message-id", ""))
        original = original | {"original_message_id": identifier}
    address = recipient_of(fields.get("final-recipient", ""))
    return Report(
        outcome=outcome,
        final_recipient=address or recipient_of(fields.get("original-recipient", "")),
        original_recipient=recipient_of(fields.get("original-recipient", "")),
        action=Action.FAILED if outcome is Outcome.BOUNCE else Action.DELIVERED,
        diagnostic_code=_words(mail) if outcome is Outcome.BOUNCE else "",
        native_code=fields.get("disposition", ""),
        occurred_at=parse_date(mail.headers.get(b"date")),
        **original,
    )


def _is_rejection(mail: Mail, fields: Fields) -> bool:
    if not _AUTOMATIC.search(fields.get("disposition", "")):
        return False
    return _SUBJECT.search(mail.subject) is not None or _REJECTED.search(mail.text) is not None


def _words(mail: Mail) -> str:
    """Return "rejected by the recipient's filter" with what the recipient said."""
    said = joined(_INTRODUCTION.sub("", mail.text, count=1))
    return f"Your message was automatically rejected: {said}"


PARSER = Parser(rank=14, read=_read)
