"""
What follows from events, one after the other, each with a decision that says why.

Only what is trusted enough, and is the fault of the recipient or the destination, counts; what
does not count is said too.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from mtabounce.model import GRAVITY, TRUST_RANK, BounceType, Fault, Trust
from mtabounce.policy.counting import Tally
from mtabounce.policy.events import (
    EVERYWHERE,
    Decision,
    Event,
    EventKind,
    Policy,
    Rules,
    Suppression,
)
from mtabounce.policy.memory import Memory, pool_of
from mtabounce.policy.threshold import Consequence, Threshold, in_words

DELIVERY_LIFTS = "a delivery shows that it works"
APART = timedelta(hours=24)  # between two hard bounces, for the second to confirm the first
_FAULTS = {  # whose faults count, by type; a complaint is nobody's fault, and counts
    BounceType.HARD: {Fault.RECIPIENT, Fault.DESTINATION},
    BounceType.SOFT: {Fault.RECIPIENT},
    BounceType.COMPLAINT: {None, *Fault},
}


@dataclass(slots=True)
class Course:
    """How an address stands after the events that were taken, in order of time."""

    policy: Policy
    forgiven: set[int]  # bounces that an operator named
    undone: set[int]  # additions, and what was kept, that an operator named
    suppressions: dict[str, Suppression] = field(default_factory=dict)
    grounds: dict[str, Decision] = field(default_factory=dict)  # of each suppression, by its scope
    ends: datetime | None = None  # when the next of them may end
    memory: dict[BounceType, Memory] = field(default_factory=lambda: defaultdict(Memory))
    decisions: list[Decision] = field(default_factory=list)
    _passing: set[BounceType] = field(default_factory=set)  # of which a delivery clears some
    _settings: str = ""  # of the event in hand

    def pass_time(self, at: datetime) -> None:
        """Lift what is over at *at*."""
        if self.ends is None or at < self.ends:
            return
        ending = [(one.until, scope) for scope, one in self.suppressions.items() if one.until]
        for until, scope in sorted(end for end in ending if end[0] <= at):
            one = self.suppressions.pop(scope)
            over = f"the suppression of {one.since:%Y-%m-%d} is over"
            self._decide(until, "lift", over + self._watch(one, until), scope)
        self.ends = min(
            (one.until for one in self.suppressions.values() if one.until), default=None
        )

    def _watch(self, over: Suppression, ended: datetime) -> str:
        if over.type is None or over.cause != over.type:
            return ""
        watch = self.memory[over.type].watches.get((Trust.CLAIMED, pool_of(over.scope)))
        if watch is None or not watch.lasts or watch.begins + watch.lasts <= ended:
            return ""
        return f"; until {watch.begins + watch.lasts:%Y-%m-%d}, one more suppresses it again"

    def take(self, event: Event) -> None:
        """Let follow what follows from *event*, which is no delivery."""
        match event.kind:
            case EventKind.BOUNCE:
                self._bounce(event)
            case EventKind.KEPT:
                self._kept(event)
            case EventKind.ADDED:
                self._added(event)
            case EventKind.REMOVED:
                self._removed(event)

    def become(self, lasting: "Course", delivery: Event) -> None:
        """Stand as *lasting*, which took nothing that *delivery* clears."""
        for kind in sorted(self._passing):
            why = f"a delivery clears what was {kind}"
            self._decide(delivery.at, "clear", why, event=delivery)
            self.memory[kind] = lasting.memory[kind].copy()
        self._passing.clear()
        old, self.suppressions = self.suppressions, dict(lasting.suppressions)
        self.grounds = dict(lasting.grounds)
        self.ends = lasting.ends
        for scope in sorted(old.keys() | self.suppressions.keys()):
            if old.get(scope) != self.suppressions.get(scope):
                self._changed(scope, delivery, was=scope in old)

    def _changed(self, scope: str, delivery: Event, *, was: bool) -> None:
        if was:
            self._decide(delivery.at, "lift", DELIVERY_LIFTS, scope, event=delivery)
        if still := self.suppressions.get(scope):
            ground = self.grounds[scope]
            why = f"{still.cause} of {still.since:%Y-%m-%d} still holds: {ground.why}"
            self.decisions.append(replace(ground, at=delivery.at, why=why))

    def _added(self, event: Event) -> None:
        if event.id in self.undone:
            self._decide(event.at, "none", "an operator took it back", event.scope, event=event)
            return
        self._suppress(event, _manual(event), "an operator added it", [event])

    def _kept(self, event: Event) -> None:
        if event.id in self.undone or self.forgiven.intersection(event.rests_on):
            self._decide(event.at, "none", "an operator took it back", event.covers, event=event)
            return
        why = f"kept longer than its bounces: {event.cause}, the last for {event.reason}"
        self._suppress(event, _kept_suppression(event), why, [event])

    def _bounce(self, event: Event) -> None:
        rules = self.policy.rules_for(event)
        why = "an operator forgave it" if event.id in self.forgiven else _not_counted(event, rules)
        if why:
            self._decide(event.at, "none", why, event=event)
            return
        if event.type is None:
            return
        threshold = rules.thresholds[event.type]
        self._settings = in_words(event.type, threshold, rules.min_trust)
        if threshold.action is Consequence.NONE:
            self._decide(event.at, "none", f"{event.type}: the action is none", event=event)
        else:
            self._count(event, event.type, rules)
        self._settings = ""

    def _count(self, event: Event, kind: BounceType, rules: Rules) -> None:
        if self.policy.is_cleared(event):
            self._passing.add(kind)
        threshold, memory = rules.thresholds[kind], self.memory[kind]
        mark = rules.min_trust, pool_of(_covered(event, threshold))
        memory.add(event)
        seen = memory.tally(threshold.window, mark, event.at)
        why = _not_reached(kind, seen, threshold)
        if why and not memory.is_watched(event.at, mark, threshold.probe):
            self._decide(event.at, "none", why, event=event)
        else:
            self._reached(event, kind, rules, seen)

    def _reached(self, event: Event, kind: BounceType, rules: Rules, seen: Tally) -> None:
        threshold = rules.thresholds[kind]
        scope = _covered(event, threshold)
        because = [*seen.first(threshold.count), event]
        needed = f" of {threshold.count}" if seen.messages <= threshold.count else ""
        words = f"{kind}: {seen.messages}{needed} messages, the last for {event.reason}"
        until: datetime | None
        if threshold.hold is not None and not _is_confirmed(seen):
            cause, until = "hold", event.at + threshold.hold
        else:
            proof = min((one.trust for one in because), key=TRUST_RANK.__getitem__)
            memory, mark = self.memory[kind], (rules.min_trust, pool_of(scope))
            this = memory.begin(event.at, mark, proof, threshold)
            cause, until = str(kind), threshold.end(event.at, this.before)
            if _not_reached(kind, seen, threshold):
                words = f"{kind}: {event.reason} again after a suppression of {this.first:%Y-%m-%d}"
        suppression = Suppression(
            type=kind,
            reason=event.reason,
            cause=cause,
            scope=scope,
            since=event.at,
            until=until,
            bounce_id=event.id,
            action=threshold.action,
        )
        self._suppress(event, suppression, words, because)

    def _suppress(self, event: Event, new: Suppression, why: str, because: Sequence[Event]) -> None:
        old = self.suppressions.get(new.scope)
        if old is not None and _outweighs(old, new):
            why = f"{why}; it is suppressed already"
            self._decide(event.at, "none", why, new.scope, event=event)
            return
        self.suppressions[new.scope] = new
        if new.until is not None:
            self.ends = min(new.until, self.ends or new.until)
        ids = tuple(dict.fromkeys(one.id for one in because if one.kind is EventKind.BOUNCE))
        self._decide(event.at, "suppress", f"{why}: {_end_of(new)}", new.scope, ids, event)
        self.grounds[new.scope] = self.decisions[-1]

    def _removed(self, event: Event) -> None:
        if event.forgives or event.undoes:
            return  # what it names never counted
        self.memory.clear()
        self._passing.clear()
        for scope in list(self.suppressions):
            del self.suppressions[scope]
            self._decide(event.at, "lift", "an operator removed it", scope, event=event)

    def _decide(
        self,
        at: datetime,
        action: str,
        why: str,
        scope: str = EVERYWHERE,
        bounces: tuple[int, ...] = (),
        event: Event | None = None,
    ) -> None:
        self.decisions.append(
            Decision(
                at=at,
                action=action,
                why=why,
                scope=scope,
                bounces=bounces,
                event=event,
                settings=self._settings if event else "",
            )
        )


def _end_of(one: Suppression) -> str:
    return f"until {one.until:%Y-%m-%d}" if one.until else "for good"


def _manual(event: Event) -> Suppression:
    return Suppression(
        type=event.type,
        reason=event.reason,
        cause="manual",
        scope=event.scope,
        since=event.at,
        until=event.until,
        bounce_id=None,
    )


def _kept_suppression(event: Event) -> Suppression:
    return Suppression(
        type=event.type,
        reason=event.reason,
        cause=event.cause,
        scope=event.covers,
        since=event.at,
        until=event.until,
        bounce_id=event.rests_on[-1] if event.rests_on else None,
        action=event.action,
    )


def _not_counted(event: Event, rules: Rules) -> str:
    """Return why a bounce does not count; "" where it does."""
    if event.type is None:
        return "it is no bounce"
    if event.incident is not None:
        return f"held back by incident {event.incident}"
    if event.is_local:  # "gmail.com" in a map of recipients stands for everybody there
        return "not acted on: a name without a domain is no address"
    if TRUST_RANK[event.trust] < TRUST_RANK[rules.min_trust]:
        return f"not acted on: unproven ({event.trust}, {rules.min_trust} is asked for)"
    if event.fault not in _FAULTS[event.type]:
        return f"not acted on: {event.reason} is the fault of the {event.fault}"
    return ""


def _covered(event: Event, threshold: Threshold) -> str:
    """Return the scope of what follows from *event*."""
    return event.scope if threshold.action is Consequence.UNSUBSCRIBE else EVERYWHERE


def _not_reached(kind: BounceType, seen: Tally, threshold: Threshold) -> str:
    """Return what is missing to reach *threshold*; "" where nothing is."""
    count = seen.messages
    if count < threshold.count:
        return f"{kind}: {count} of {threshold.count} messages"
    if seen.span < threshold.span:
        return f"{kind}: {count} messages within {seen.span}, and {threshold.span} are asked for"
    return ""


def _is_confirmed(seen: Tally) -> bool:
    """Tell whether two messages bounced hard, a day or more apart."""
    return seen.messages > 1 and seen.span >= APART


def _outweighs(old: Suppression, new: Suppression) -> bool:
    """Tell whether *old* stays: what lasts longer does, and of equals the graver cause."""
    if (old.until is None) != (new.until is None):
        return old.until is None
    if old.until and new.until and old.until != new.until:
        return old.until > new.until
    return _gravity(old) >= _gravity(new)


def _gravity(one: Suppression) -> int:
    return len(GRAVITY) if one.type is None else GRAVITY[one.type]  # an operator's word is graver
