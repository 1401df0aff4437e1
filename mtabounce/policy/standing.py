"""
Whom not to mail: a pure function of what happened to an address. No clock, no database.

The same facts give the same standing in whatever order they came. Only what is trusted enough,
and is the fault of the recipient or the destination, counts; what does not count is said too.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mtabounce.model import BounceType, Fault, Trust
from mtabounce.policy.counting import Tally
from mtabounce.policy.events import (
    EVERYWHERE,
    Decision,
    Event,
    EventKind,
    Policy,
    Rules,
    Standing,
    Suppression,
)
from mtabounce.policy.threshold import Consequence, Round, Threshold, in_words

DELIVERY_LIFTS = "a delivery shows that it works"
APART = timedelta(hours=24)  # between two hard bounces, for the second to confirm the first
_TRUST = {trust: rank for rank, trust in enumerate(Trust)}
_FAULTS = {  # whose faults count, by type; a complaint is nobody's fault, and counts
    BounceType.HARD: {Fault.RECIPIENT, Fault.DESTINATION},
    BounceType.SOFT: {Fault.RECIPIENT},
    BounceType.COMPLAINT: {None, *Fault},
}
_GRAVITY = {BounceType.SOFT: 0, BounceType.HARD: 1, BounceType.COMPLAINT: 2}
_KINDS = {kind: rank for rank, kind in enumerate(EventKind)}
_Mark = tuple[BounceType, str]  # what is counted together: a type, and among which (see _pool)


def judge(history: Iterable[Event], policy: Policy, now: datetime) -> Standing:
    """Return where an address stands at *now* after *history*, in whatever order it is given."""
    past = {event for event in history if event.at <= now}
    words = [event for event in past if event.kind is EventKind.REMOVED]
    forgiven = {number for word in words for number in word.forgives}
    undone = {number for word in words for number in word.undoes}
    fold = _Fold(policy, forgiven, undone)
    for event in sorted(past, key=_order) if len(past) > 1 else past:
        fold.pass_time(event.at)
        fold.take(event)
    fold.pass_time(now)
    return Standing(suppressions=fold.suppressions, decisions=fold.decisions)


def _order(event: Event) -> tuple[datetime, int, str, str, str, str, int, str]:
    said = event.message, event.scope, event.type or "", event.reason  # ids are as they came
    return event.at, _KINDS[event.kind], *said, event.id, repr(event)


@dataclass(slots=True)
class _Fold:
    policy: Policy
    forgiven: set[int]
    undone: set[int]
    suppressions: dict[str, Suppression] = field(default_factory=dict)
    _behind: dict[str, list[Suppression]] = field(default_factory=lambda: defaultdict(list))
    decisions: list[Decision] = field(default_factory=list)
    _counted: dict[_Mark, list[Event]] = field(default_factory=lambda: defaultdict(list))
    _tallies: dict[BounceType, dict[tuple[timedelta | None, str], Tally]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    _rounds: dict[_Mark, Round] = field(default_factory=dict)
    _held: set[_Mark] = field(default_factory=set)  # what nothing confirmed yet
    _watched: dict[_Mark, datetime] = field(default_factory=dict)  # until when
    _ends: datetime | None = None  # when the next of the suppressions may end
    _settings: str = ""  # of the event in hand

    def pass_time(self, at: datetime) -> None:
        if self._ends is None or at < self._ends:
            return
        for scope, one in list(self.suppressions.items()):
            if one.until is not None and one.until <= at:
                del self.suppressions[scope]
                over = f"the suppression of {one.since:%Y-%m-%d} is over"
                self._decide(one.until, "lift", over + self._watch(one), scope)
        self._ends = min(
            (one.until for one in self.suppressions.values() if one.until), default=None
        )

    def _watch(self, over: Suppression) -> str:
        if over.type is None or over.cause != over.type:
            return ""
        until = self._watched.get((over.type, _pool(over.scope)))
        return f"; until {until:%Y-%m-%d}, one more suppresses it again" if until else ""

    def take(self, event: Event) -> None:
        match event.kind:
            case EventKind.BOUNCE:
                self._bounce(event)
            case EventKind.DELIVERED:
                self._delivered(event)
            case EventKind.KEPT:
                self._kept(event)
            case EventKind.ADDED:
                self._added(event)
            case EventKind.REMOVED:
                self._removed(event)

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
            self._count(event, event.type, threshold)
        self._settings = ""

    def _count(self, event: Event, kind: BounceType, threshold: Threshold) -> None:
        pool = _pool(_covered(event, threshold))
        for among in {EVERYWHERE, _pool(event.scope)}:
            self._counted[kind, among].append(event)
        asked = threshold.window, pool
        seen = self._tallies[kind].setdefault(asked, Tally(*asked))
        seen.take(self._counted[kind, pool], event.at)
        watched = event.at <= self._watched.get((kind, pool), event.at - APART)
        if not watched and (why := _not_reached(kind, seen, threshold)):
            self._decide(event.at, "none", why, event=event)
        else:
            self._reached(event, kind, threshold, seen)

    def _reached(self, event: Event, kind: BounceType, threshold: Threshold, seen: Tally) -> None:
        mark = kind, seen.scope
        is_over = event.at > self._watched.get(mark, event.at)  # and nothing happened
        before = None if is_over else self._rounds.get(mark)
        this = threshold.round_of(event.at, before)
        length, cause = threshold.length(this.before), str(kind)
        self._held.discard(mark)
        if threshold.hold is not None and not _is_confirmed(seen):
            length, cause = threshold.hold, "hold"
            self._held.add(mark)
        else:
            self._rounds[mark] = this
        until = event.at + length if length is not None else None
        if cause != "hold" and until is not None and threshold.probe:
            watched = until + threshold.probe
            self._watched[mark] = max(watched, self._watched.get(mark, watched))
        suppression = Suppression(
            type=kind,
            reason=event.reason,
            cause=cause,
            scope=_covered(event, threshold),
            since=event.at,
            until=until,
            bounce_id=event.id,
            action=threshold.action,
        )
        count = f"{seen.messages} of {threshold.count} messages"
        words = f"{kind}: {count}, the last for {event.reason}"
        if _not_reached(kind, seen, threshold):
            words = f"{kind}: {event.reason} again after a suppression of {this.first:%Y-%m-%d}"
        self._suppress(event, suppression, words, [*seen.first(threshold.count), event])

    def _suppress(self, event: Event, new: Suppression, why: str, because: Sequence[Event]) -> None:
        old = self.suppressions.get(new.scope)
        stays = old is not None and _outweighs(old, new)
        if old is not None and not _is_lifted(weaker := new if stays else old):
            self._behind[new.scope].append(weaker)
        if stays:
            why = f"{why}; it is suppressed already"
            self._decide(event.at, "none", why, new.scope, event=event)
            return
        self._hold(new)
        ids = tuple(dict.fromkeys(one.id for one in because if one.kind is EventKind.BOUNCE))
        self._decide(event.at, "suppress", f"{why}: {_end_of(new)}", new.scope, ids, event)

    def _hold(self, one: Suppression) -> None:
        self.suppressions[one.scope] = one
        if one.until is not None:
            self._ends = min(one.until, self._ends or one.until)

    def _delivered(self, event: Event) -> None:
        if _TRUST[event.trust] < _TRUST[Trust.PROVEN]:
            return
        held = {mark for mark in self._held if mark[0] is not BounceType.COMPLAINT}
        self._held -= held
        for kind, pool in sorted({(BounceType.SOFT, EVERYWHERE), *held}):
            if self._counted.get((kind, pool)):
                self._decide(event.at, "clear", f"a delivery clears what was {kind}", event=event)
            self._forget(kind, pool)
        for scope, one in list(self.suppressions.items()):
            if _is_lifted(one):
                del self.suppressions[scope]
                self._decide(event.at, "lift", DELIVERY_LIFTS, scope, event=event)
                self._uncover(scope, event)

    def _forget(self, kind: BounceType, pool: str) -> None:
        for memory in (self._counted, self._rounds, self._watched):
            for mark in [
                mark for mark in memory if mark[0] == kind and pool in {EVERYWHERE, mark[1]}
            ]:
                del memory[mark]
        if pool != EVERYWHERE:
            among_all = self._counted[kind, EVERYWHERE]
            among_all[:] = [one for one in among_all if one.scope != pool]
        tallies = self._tallies[kind]
        for asked in [one for one in tallies if pool == EVERYWHERE or one[1] in {EVERYWHERE, pool}]:
            del tallies[asked]

    def _uncover(self, scope: str, event: Event) -> None:
        """Let what was behind a suppression that was lifted hold for as long as it was to."""
        left = [one for one in self._behind.pop(scope, ()) if not one.until or one.until > event.at]
        for one in left:
            old = self.suppressions.get(scope)
            if old is None or not _outweighs(old, one):
                self._hold(one)
        if left:
            self._behind[scope] = left
            still = self.suppressions[scope]
            why = f"{still.cause} of {still.since:%Y-%m-%d} still holds: {_end_of(still)}"
            self._decide(event.at, "suppress", why, scope, event=event)

    def _removed(self, event: Event) -> None:
        if event.forgives or event.undoes:
            return  # what it names never counted
        for memory in (self._counted, self._tallies, self._rounds, self._held, self._watched):
            memory.clear()
        self._behind.clear()
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


def _is_lifted(one: Suppression) -> bool:
    """Tell whether a delivery lifts it."""
    return one.cause in {"soft", "hold"} and one.type is not BounceType.COMPLAINT


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
    if _TRUST[event.trust] < _TRUST[rules.min_trust]:
        return f"not acted on: unproven ({event.trust}, {rules.min_trust} is asked for)"
    if event.fault not in _FAULTS[event.type]:
        return f"not acted on: {event.reason} is the fault of the {event.fault}"
    return ""


def _covered(event: Event, threshold: Threshold) -> str:
    """Return the scope of what follows from *event*."""
    return event.scope if threshold.action is Consequence.UNSUBSCRIBE else EVERYWHERE


def _pool(scope: str) -> str:
    """
    Return among which bounces those are counted that *scope* ends for.

    A list has its own. A campaign mails an address once, so that its bounces count with all others.
    """
    return scope if scope.startswith("list:") else EVERYWHERE


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
    return 3 if one.type is None else _GRAVITY[one.type]
