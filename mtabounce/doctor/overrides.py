"""Overrides of the policy are for mail that there is: a list never seen may be misspelled."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import NamedTuple

from mtabounce.config.shape import Place
from mtabounce.doctor._check import Check, Finding, Level, Patient
from mtabounce.policy import PolicySettings
from mtabounce.store.policy import names_seen

_TITLE = "overrides"


class Unseen(NamedTuple):
    """A campaign or list of an override of which nothing was ever seen."""

    place: Place  # in the settings
    value: str
    close: str | None  # a name that was seen, and is almost the same


def unseen(policy: PolicySettings, seen: Mapping[str, set[str]]) -> Iterator[Unseen]:
    """Give what overrides of *policy* name that is not among *seen*: the names of each key."""
    for number, override in enumerate(policy.override):
        for key, value in override.conditions().items():
            if key in seen and value not in seen[key]:
                close = get_close_matches(value, seen[key], n=1)
                yield Unseen(("policy", "override", number, key), value, next(iter(close), None))


def _run(patient: Patient) -> Iterator[Finding]:
    policy = patient.given().policy
    seen = patient.ask(names_seen) if policy.override else None
    if seen is None:
        return
    unknown = list(unseen(policy, seen))
    yield from map(_finding, unknown)
    if not unknown:
        yield Finding(_TITLE, Level.OK, "each is for mail that was seen before")


def _finding(one: Unseen) -> Finding:
    *_, number, key = one.place
    what = f"[[policy.override]] {int(number) + 1}: {key} = {one.value!r}"
    mend = f"did you mean {one.close!r}?" if one.close else "is it written as in the mail?"
    return Finding(_TITLE, Level.WARN, f"{what}: nothing of it was ever seen", mend)


CHECK = Check(title=_TITLE, rank=58, run=_run)
