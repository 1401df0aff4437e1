"""How many bounces have which consequence, and that in words."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache

from mtabounce.model import BounceType, Trust


class Consequence(StrEnum):
    """What follows when a threshold is reached, in the words of listmonk."""

    NONE = "none"
    UNSUBSCRIBE = "unsubscribe"  # from the list or campaign that it happened in
    BLOCKLIST = "blocklist"
    DELETE = "delete"  # blocklist here; a sink for listmonk deletes the subscriber there


@dataclass(frozen=True, slots=True)
class Round:
    """One suppression of several, each longer than the one before."""

    first: datetime  # when the first of them was due
    end: datetime | None  # by the rule that it began by; None: never
    before: int = 0  # rounds


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """How many bounces of one type have which consequence, for how long."""

    count: int = 1  # different messages
    action: Consequence = Consequence.BLOCKLIST
    span: timedelta = timedelta(0)  # between the first and the last of them, at least
    window: timedelta | None = None  # only those of so long count; None: all
    hold: timedelta | None = None  # until a second message confirms it; None: no hold
    lasts: timedelta | None = None  # the first time, then twice as long; None: for good
    longest: timedelta | None = None  # however often; None: no limit
    probe: timedelta | None = None  # after its end, so long one message is enough; None: not at all

    def end(self, at: datetime, before: int) -> datetime | None:
        """Return when a suppression since *at* ends, after *before* others; None: never."""
        if self.lasts is None:
            return None
        length = self.lasts * (1 << min(before, 20))
        return at + (min(length, self.longest) if self.longest else length)

    def round_of(self, at: datetime, old: Round | None) -> Round:
        """Return the round of a suppression at *at*, which follows *old*; None: it is the first."""
        if old is not None and (old.end is None or at < old.end):
            return old
        before = old.before + 1 if old else 0
        return Round(old.first if old else at, self.end(at, before), before)

    def __str__(self) -> str:
        """Return it in words that a person can check."""
        words = ["1 message" if self.count == 1 else f"{self.count} different messages"]
        if self.span:
            words.append(f"over at least {_length(self.span)}")
        if self.window:
            words.append(f"within {_length(self.window)}")
        words.append(f"→ {self.action}")
        if self.lasts:
            longest = f", at most {_length(self.longest)}" if self.longest else ""
            words.append(f"for {_length(self.lasts)}, then twice as long{longest}")
        if self.probe:
            words.append(f"(for {_length(self.probe)} after that, 1 message is enough)")
        if self.hold:
            words.append(f"(the first is a hold of {_length(self.hold)})")
        return " ".join(words)


@cache  # there are as many as the configuration has
def in_words(kind: BounceType, threshold: Threshold, min_trust: Trust) -> str:
    """Return by which settings a bounce was judged."""
    return f"{kind}: {threshold}; {min_trust} or better"


def _length(span: timedelta) -> str:
    units = {"days": 86_400, "hours": 3600, "minutes": 60, "seconds": 1}
    seconds = round(span.total_seconds())
    name, size = next((name, size) for name, size in units.items() if seconds % size == 0)
    count = seconds // size
    return f"{count} {name.removesuffix('s') if count == 1 else name}"
