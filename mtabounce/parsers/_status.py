"""Delivery status fields to reports: shared by all that find such fields somewhere."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from mtabounce.address import parse
from mtabounce.mime import REPORT_LIMIT
from mtabounce.model import Action, EnhancedStatus, Report
from mtabounce.parsers._dates import parse_date
from mtabounce.parsers._expanded import Expanded
from mtabounce.parsers._fields import (
    Fields,
    action_of,
    host_of,
    read_groups,
    recipient_of,
    without_type,
)
from mtabounce.parsers._mail import LOOKED_FOR, Findings, Mail, findings, outcome_of
from mtabounce.parsers._prose import (
    command_in,
    has_reply,
    host_in,
    joined,
    reason_in,
    reply_in,
    said_after,
    unwrapped,
)

_STATUS_TYPES = frozenset({"message/delivery-status", "message/global-delivery-status"})
_TERSE = 40  # characters: a diagnostic shorter than this may be explained by the prose
_BY_CLASS = {2: Action.DELIVERED, 4: Action.DELAYED, 5: Action.FAILED}  # RFC 3463 §3
_EXPIRED = "Envelope expired"  # OpenSMTPD 6.8 calls these delayed, and has deleted the message
_XTEXT = re.compile(r"\+([2-7][0-9A-F])")
_SESSION = re.compile(r"Transcript of session follows[ -]*\n([\s\S]{1,600}?)(?:\n[ \t]*\n|\Z)")
_TOP = 4096  # bytes of the returned mail in which its uppermost Received header stands
_RECEIVED = re.compile(rb"(?:\A|\n)[Rr]eceived:[^\n]*(?:\n[ \t][^\n]*)*")
_BY_AND_ID = re.compile(rb"\bby\s+(\S+)[^;]{0,300}?\sid\s+<?([A-Za-z0-9._-]{5,40})")


def read(mail: Mail) -> Findings | None:
    """Return what the delivery status parts of *mail* say; None where it has none."""
    reports: dict[str, Report] = {}
    for part in mail.parts:
        if part.type in _STATUS_TYPES:
            for report in reports_in(mail, part.text_of(REPORT_LIMIT), mail.text):
                _add(reports, report)
    return findings(reports.values())


def reports_in(mail: Mail, text: str, prose: str) -> Iterator[Report]:
    """Yield a report for each recipient that the fields in *text* name; *prose* explains them."""
    message, recipients = read_groups(text)
    shared = _of_message(mail, message)
    # The transcript of the only recipient stands anywhere; that of one of several, who knows.
    transcript = prose if len(recipients) == 1 else ""
    sent_to = parse(mail.sent_to)
    only = sent_to if len(recipients) == 1 else ""
    expanded = Expanded(prose)
    for fields in recipients[:LOOKED_FOR]:
        people = _people(fields, sent_to, only)
        if report := _report(shared, fields, people, (prose, transcript)):
            yield _expanded_from(report, expanded.next_of(report.final_recipient))


def _expanded_from(report: Report, origin: str) -> Report:
    """Return *report* with what its MTA says beside Original-Recipient, or in its place."""
    if not report.original_recipient:
        return replace(report, original_recipient=origin)
    is_news = origin.lower() not in (report.original_recipient.lower(), "")
    return replace(report, expanded_from=origin) if is_news else report


def _add(reports: dict[str, Report], report: Report) -> None:
    """Keep one report for each recipient: a failure, where both it and a delay are told."""
    key = report.final_recipient.lower()
    known = reports.setdefault(key, report)
    if _are_two(known, report):  # who forward to one address
        key = f"{key} {report.original_recipient.lower()}"
        known = reports.setdefault(key, report)
    if known.action is Action.DELAYED and report.action is Action.FAILED:
        reports[key] = report


def _are_two(one: Report, other: Report) -> bool:
    names = {one.original_recipient.lower(), other.original_recipient.lower()}
    return len(names - {""}) > 1


def _of_message(mail: Mail, message: Fields) -> dict[str, Any]:
    """Return the fields that the reports of one notice share."""
    host = host_of(message.get("reporting-mta", ""))
    return mail.original | {
        "reporting_mta": host,
        "received_from_mta": host_of(message.get("received-from-mta", "")),
        "dsn_gateway": host_of(message.get("dsn-gateway", "")),
        "original_envelope_id": message.get("original-envelope-id", ""),
        "arrival_date": parse_date(message.get("arrival-date", "")),
        "queue_id": message.get("x-postfix-queue-id", "") or _queue_id(mail, host),
        "occurred_at": parse_date(mail.headers.get(b"date")),
    }


def _people(fields: Fields, sent_to: str, only: str) -> tuple[str, str]:
    """
    Return the final recipient and the original one; *only* is the returned mail's, if alone.

    Some leave the original one in xtext (RFC 3461 §4), as it was given to them.
    """
    original = recipient_of(fields.get("original-recipient", ""))
    final = _final_recipient(fields) or original
    if not final and "final-recipient" in fields:  # empty, or of X.400
        return only, original
    plain = _XTEXT.sub(lambda found: chr(int(found[1], 16)), original)
    is_known = plain.lower() in (final.lower(), sent_to.lower())
    return final, plain if is_known else original


def _report(
    shared: dict[str, Any], fields: Fields, people: tuple[str, str], texts: tuple[str, str]
) -> Report | None:
    final, original = people
    prose, transcript = texts
    said = said_after(prose, final) if final else ""
    status = EnhancedStatus.find(fields.get("status", ""))
    action = _action(fields, status, said)
    if not final or action is None:
        return None  # nothing is said of anybody; a cut-off report may end like this
    attempted = parse_date(fields.get("last-attempt-date", ""))
    facts = {
        "outcome": outcome_of(action),
        "final_recipient": final,
        "original_recipient": original,
        "action": action,
        "status": status,
        "diagnostic_code": _diagnostic(fields, action, said, transcript),
        "command": command_in(said) or command_in(transcript),
        "remote_mta": host_of(fields.get("remote-mta", "")) or host_in(said),
        "final_log_id": fields.get("final-log-id", ""),
        "last_attempt_date": attempted,
        "will_retry_until": parse_date(fields.get("will-retry-until", "")),
        "occurred_at": attempted or shared["occurred_at"],
    }
    return Report(**(shared | facts))


def _final_recipient(fields: Fields) -> str:
    for name in ("final-recipient", "x-actual-recipient"):
        if found := recipient_of(fields.get(name, "")):
            return found
    return ""


def _action(fields: Fields, status: EnhancedStatus | None, said: str) -> Action | None:
    action = action_of(fields.get("action", ""))
    if action is Action.DELAYED and _EXPIRED in said:
        return Action.FAILED
    if action is None and status is not None:
        return _BY_CLASS.get(status.class_)
    if action is None and "diagnostic-code" in fields:
        return Action.FAILED
    return action


def _diagnostic(fields: Fields, action: Action, said: str, transcript: str) -> str:
    """Return the remote host's words; with what the prose says, where the field lacks a reply."""
    diagnostic = without_type(fields.get("diagnostic-code", ""))
    is_bad_news = action in (Action.FAILED, Action.DELAYED)
    if is_bad_news and len(diagnostic) < _TERSE and not has_reply(diagnostic):
        reason = reason_in(said) or reply_in(transcript)
        # X-Unix: the status with which a program ended; its words are in the session.
        if diagnostic.isdigit() and (session := _SESSION.search(transcript)):
            reason = f"{reason} {joined(session[1])}"
        diagnostic = f"{diagnostic} {reason}".strip() if reason not in diagnostic else diagnostic
    return unwrapped(diagnostic)


def _queue_id(mail: Mail, host: str) -> str:
    """Return the id under which *host* received the mail, as its own header there says."""
    if mail.returned is None or not host:
        return ""
    received = _RECEIVED.search(mail.returned.data[:_TOP])
    found = _BY_AND_ID.search(received[0]) if received else None
    is_its_own = found and found[1].decode("latin-1").lower() == host.lower()
    return found[2].decode("latin-1") if found and is_its_own else ""
