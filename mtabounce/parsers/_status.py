"""Delivery status fields to reports: shared by all that find such fields somewhere."""

import re
from collections.abc import Iterator
from dataclasses import replace

from mtabounce.mime import Headers
from mtabounce.model import Action, EnhancedStatus, Outcome, Report
from mtabounce.parsers._dates import parse_date
from mtabounce.parsers._fields import (
    Fields,
    action_of,
    host_of,
    read_groups,
    recipient_of,
    without_type,
)
from mtabounce.parsers._mail import RECIPIENT_LIMIT, Findings, Mail, findings, outcome_of
from mtabounce.parsers._prose import (
    command_in,
    has_reply,
    host_in,
    reason_after,
    reason_in,
    unwrapped,
)

_STATUS_TYPES = frozenset({"message/delivery-status", "message/global-delivery-status"})
_TERSE = 40  # characters: a diagnostic shorter than this may be explained by the prose
_EXPIRED = "Envelope expired"  # OpenSMTPD 6.8 calls these delayed, and has deleted the message
_RECEIVED_BY = re.compile(rb"\bby\s+(\S+)[^;]*?\sid\s+<?([A-Za-z0-9._-]{5,40})", re.DOTALL)


def read(mail: Mail) -> Findings | None:
    """Return what the delivery status parts of *mail* say; None where it has none."""
    reports: dict[str, Report] = {}
    for part in mail.parts:
        if part.type in _STATUS_TYPES:
            for report in reports_in(mail, part.text, mail.text):
                _add(reports, report)
    return findings(reports.values())


def reports_in(mail: Mail, text: str, prose: str) -> Iterator[Report]:
    """Yield a report for each recipient that the fields in *text* name; *prose* explains them."""
    message, recipients = read_groups(text)
    for fields in recipients[:RECIPIENT_LIMIT]:
        if report := _report(mail, message, fields):
            yield _explained(report, prose)


def _add(reports: dict[str, Report], report: Report) -> None:
    """Keep one report for each recipient: a failure, where both it and another are told."""
    key = report.final_recipient.lower()
    if key not in reports or (report.action, reports[key].action) == (
        Action.FAILED,
        Action.DELAYED,
    ):
        reports[key] = report


def _report(mail: Mail, message: Fields, fields: Fields) -> Report | None:
    original = recipient_of(fields.get("original-recipient", ""))
    final = _final_recipient(fields) or original
    status = EnhancedStatus.find(fields.get("status", ""))
    action = _action(mail, fields, status)
    if not final or action is None:
        return None  # nothing is said of anybody; a cut-off report may end like this
    attempted = parse_date(fields.get("last-attempt-date", ""))
    diagnostic = without_type(fields.get("diagnostic-code", ""))
    return Report(
        outcome=outcome_of(action),
        final_recipient=final,
        original_recipient=original,
        action=action,
        status=status,
        diagnostic_code=diagnostic,
        remote_mta=host_of(fields.get("remote-mta", "")),
        reporting_mta=host_of(message.get("reporting-mta", "")),
        received_from_mta=host_of(message.get("received-from-mta", "")),
        dsn_gateway=host_of(message.get("dsn-gateway", "")),
        original_envelope_id=message.get("original-envelope-id", ""),
        final_log_id=fields.get("final-log-id", ""),
        arrival_date=parse_date(message.get("arrival-date", "")),
        last_attempt_date=attempted,
        will_retry_until=parse_date(fields.get("will-retry-until", "")),
        queue_id=message.get("x-postfix-queue-id", "") or _queue_id(mail, message),
        occurred_at=attempted or parse_date(mail.headers.get(b"date")),
        **mail.original,
    )


def _final_recipient(fields: Fields) -> str:
    for name in ("final-recipient", "x-actual-recipient"):
        if found := recipient_of(fields.get(name, "")):
            return found
    return ""


def _action(mail: Mail, fields: Fields, status: EnhancedStatus | None) -> Action | None:
    action = action_of(fields.get("action", ""))
    if action is Action.DELAYED and _EXPIRED in mail.text:
        return Action.FAILED
    if action is None and (status is not None or "diagnostic-code" in fields):
        return Action.DELIVERED if status and status.class_ == 2 else Action.FAILED
    return action


def _explained(report: Report, prose: str) -> Report:
    """Add what only the part for people says: the reply where the fields lack it, the command."""
    if report.outcome is Outcome.DELIVERED:
        return report
    context = reason_after(prose, report.final_recipient)
    diagnostic = report.diagnostic_code
    if len(diagnostic) < _TERSE and not has_reply(diagnostic):
        said = reason_in(context)
        diagnostic = f"{diagnostic} {said}".strip() if said not in diagnostic else diagnostic
    return replace(
        report,
        diagnostic_code=unwrapped(diagnostic),
        command=command_in(context),
        remote_mta=report.remote_mta or host_in(context),
    )


def _queue_id(mail: Mail, message: Fields) -> str:
    """Return the id under which the reporting MTA received the mail, as its own header says."""
    if mail.returned is None:
        return ""
    received = Headers(mail.returned.data[:4096]).raw(b"received")
    found = _RECEIVED_BY.search(received)
    host = host_of(message.get("reporting-mta", "")).lower()
    if found is None or not host or found[1].decode("latin-1").lower() != host:
        return ""
    return found[2].decode("latin-1")
