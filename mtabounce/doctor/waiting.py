"""What waits for somebody's word: open incidents, and messages that nobody took."""

from collections.abc import Iterator
from functools import partial

from mtabounce.doctor._check import Check, Finding, Level, Patient
from mtabounce.pipeline.breaking import incident_in_words
from mtabounce.store import incidents, outbox

_TITLE = "incidents and outbox"


def _run(patient: Patient) -> Iterator[Finding]:
    opened = patient.ask(partial(incidents.list_incidents, state="open"))
    dead = patient.ask(outbox.dead_by_sink)
    if opened is None or dead is None:
        return
    for one in opened:
        what = incident_in_words(one)
        text = f"incident {one.id}: {what}, {one.recipients} recipients, since {one.began_at:%F %R}"
        mend = f"look at it: mtabounce incidents show {one.id}; then confirm or revert it"
        yield Finding(_TITLE, Level.WARN, text, mend)
    for sink, count in dead.items():
        text = f"{count} messages were never taken by the sink {sink}"
        mend = "see why: mtabounce outbox list --state dead; then: mtabounce outbox retry"
        yield Finding(_TITLE, Level.WARN, text, mend)
    if not opened and not dead:
        yield Finding(_TITLE, Level.OK, "no incident is open, and every message was taken")


CHECK = Check(title=_TITLE, rank=57, run=_run)
