"""Amazon SES notices that SNS sends as mail: JSON in the text, sometimes inside JSON."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from mtabounce.address import parse
from mtabounce.mime import VALUE_LIMIT
from mtabounce.model import Action, EnhancedStatus, Outcome, Report
from mtabounce.parsers._dates import parse_date
from mtabounce.parsers._fields import action_of, host_of, without_type
from mtabounce.parsers._mail import Findings, Mail, Parser, findings, message_id, outcome_of

_FOLDED = re.compile(r"!?\n ")  # SNS breaks long lines as sendmail once did


def _read(mail: Mail) -> Findings | None:
    notice = _notice(mail.text)
    if not notice:
        return None
    kind = str(notice.get("notificationType") or notice.get("eventType") or "")
    details = _object(notice.get(kind.lower()))
    return findings(_reports(notice, kind.lower(), details))


def _notice(text: str) -> Mapping[str, Any]:
    for candidate in (text, _FOLDED.sub("", text)):
        found = _object_in(candidate)
        if isinstance(found.get("Message"), str):
            found = _object_in(found["Message"])
        if "notificationType" in found or "eventType" in found:
            return found
    return {}


def _object_in(text: str) -> Mapping[str, Any]:
    start = text.find("{")
    try:
        found, _ = json.JSONDecoder().raw_decode(text, start) if start >= 0 else ({}, 0)
    except (ValueError, RecursionError):
        return {}
    return _object(found)


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _reports(notice: Mapping[str, Any], kind: str, details: Mapping[str, Any]) -> Iterator[Report]:
    for listed in ("bouncedRecipients", "complainedRecipients", "delayedRecipients", "recipients"):
        entries = details.get(listed)
        for entry in entries if isinstance(entries, list) else []:
            fields = _object(entry) or {"emailAddress": entry}
            address = parse(_text(fields, "emailAddress"))
            if address:
                yield _report(notice, kind, details, fields, address)


def _report(
    notice: Mapping[str, Any],
    kind: str,
    details: Mapping[str, Any],
    fields: Mapping[str, Any],
    address: str,
) -> Report:
    mail = _object(notice.get("mail"))
    common = _object(mail.get("commonHeaders"))
    action = _ACTIONS.get(kind) or action_of(_text(fields, "action")) or Action.FAILED
    return Report(
        outcome=Outcome.COMPLAINT if kind == "complaint" else outcome_of(action),
        final_recipient=address,
        action=None if kind == "complaint" else action,
        status=EnhancedStatus.find(_text(fields, "status")),
        diagnostic_code=without_type(_text(fields, "diagnosticCode")),
        reporting_mta=host_of(_text(details, "reportingMTA")),
        original_message_id=message_id(_text(common, "messageId")),
        original_subject=_text(common, "subject"),
        original_from=_text(mail, "source"),
        feedback_type=str(details.get("complaintFeedbackType") or "")
        if kind == "complaint"
        else "",
        native_code=_native(details),
        occurred_at=parse_date(_text(details, "timestamp")),
    )


_ACTIONS = {"delivery": Action.DELIVERED, "deliverydelay": Action.DELAYED}


def _native(details: Mapping[str, Any]) -> str:
    words = (_text(details, "bounceType"), _text(details, "bounceSubType"))
    return "/".join(word for word in words if word)


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    return value[:VALUE_LIMIT] if isinstance(value, str) else ""


PARSER = Parser(rank=35, read=_read, marks=("notificationtype", "eventtype"))
