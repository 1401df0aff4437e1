"""Overrides of the policy are for mail that there is: a list never seen may be misspelled."""

from collections.abc import Iterator
from difflib import get_close_matches

from mtabounce.doctor._check import Check, Finding, Level, Patient
from mtabounce.store.policy import names_seen

_TITLE = "overrides"


def _run(patient: Patient) -> Iterator[Finding]:
    overrides = patient.given().policy.override
    seen = patient.ask(names_seen) if overrides else None
    if seen is None:
        return
    unknown = [
        _never_seen(f"[[policy.override]] {number}: {key} = {value!r}", value, seen[key])
        for number, override in enumerate(overrides, 1)
        for key, value in override.conditions().items()
        if value not in seen.get(key, {value})
    ]
    yield from unknown
    if not unknown:
        yield Finding(_TITLE, Level.OK, "each is for mail that bounced before")


def _never_seen(what: str, value: str, seen: set[str]) -> Finding:
    close = get_close_matches(value, seen, n=1)
    mend = f"did you mean {close[0]!r}?" if close else "is it written as in the mail?"
    return Finding(_TITLE, Level.WARN, f"{what}: no bounce of it was ever seen", mend)


CHECK = Check(title=_TITLE, rank=58, run=_run)
