"""Inputs are read soon after they come in, and few of them fail."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from mtabounce.config.values import write_duration
from mtabounce.doctor._check import Check, Finding, Level, Patient
from mtabounce.store.inputs import Backlog, backlog

_TITLE = "workers"
_LATE = timedelta(minutes=5)  # an input that waits longer has no worker, or too few


def _run(patient: Patient) -> Iterator[Finding]:
    found = patient.ask(backlog)
    if found is None:
        return
    yield _waiting(found)
    if found.failed:
        yield Finding(
            _TITLE,
            Level.WARN,
            f"{found.failed} inputs could not be read",
            "see why: mtabounce inputs list --state failed; then: mtabounce reprocess",
        )


def _waiting(found: Backlog) -> Finding:
    if found.oldest_pending_at is None:
        return Finding(_TITLE, Level.OK, "no input waits")
    waited = datetime.now(UTC) - found.oldest_pending_at
    seconds = timedelta(seconds=max(0, round(waited.total_seconds())))
    text = f"{found.pending} inputs wait, the oldest for {write_duration(seconds)}"
    if waited < _LATE:
        return Finding(_TITLE, Level.OK, text)
    return Finding(_TITLE, Level.FAIL, text, "is mtabounce serve (or mtabounce worker) running?")


CHECK = Check(title=_TITLE, rank=50, run=_run)
