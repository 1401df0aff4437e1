"""What is remembered of bounces: how many count, which suppressions they made, what is watched."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

from mtabounce.model import TRUST_RANK, Trust
from mtabounce.policy.counting import Tally
from mtabounce.policy.events import EVERYWHERE, Event
from mtabounce.policy.threshold import Round, Threshold

Mark = tuple[Trust, str]  # what is counted together: by which proof at least, and in which pool


@dataclass(frozen=True, slots=True)
class Watch:
    """How long after a suppression one message is enough, by the rule that made it."""

    begins: datetime  # when the suppression ends
    lasts: timedelta  # 0: not at all


@dataclass(slots=True)
class Memory:
    """What is remembered of bounces of one type."""

    rounds: dict[Mark, Round] = field(default_factory=dict)
    watches: dict[Mark, Watch] = field(default_factory=dict)
    _counted: dict[Mark, list[Event]] = field(default_factory=lambda: defaultdict(list))
    _tallies: dict[tuple[timedelta | None, Mark], Tally] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        """Count *event*, for all who ask for no better proof."""
        pools = {EVERYWHERE, pool_of(event.scope)}
        for trust in no_better_than(event.trust):
            for pool in pools:
                self._counted[trust, pool].append(event)

    def tally(self, window: timedelta | None, mark: Mark, at: datetime) -> Tally:
        """Return what was counted of *mark* within *window* before *at*."""
        seen = self._tallies.setdefault((window, mark), Tally(window))
        seen.take(self._counted[mark], at)
        return seen

    def is_watched(self, at: datetime, mark: Mark, probe: timedelta | None) -> bool:
        """Tell whether a suppression of *mark* still goes on at *at*, or ended within *probe*."""
        watch = self.watches.get(mark)
        return watch is not None and bool(probe) and at <= watch.begins + (probe or timedelta(0))

    def begin(self, at: datetime, mark: Mark, proof: Trust, threshold: Threshold) -> Round:
        """
        Return which round a suppression of *mark* at *at* is, by the rule *threshold*.

        It is one for all who ask for no better than *proof*, too.
        """
        marks = [(trust, mark[1]) for trust in no_better_than(proof)]
        for one in marks:
            watch = self.watches.get(one)
            is_over = watch and threshold.probe and at > watch.begins + threshold.probe
            self.rounds[one] = threshold.round_of(at, None if is_over else self.rounds.get(one))
        this = self.rounds[mark]
        if end := threshold.end(at, this.before):
            for one in marks:
                old = self.watches.get(one)
                if old is None or old.begins < end:
                    self.watches[one] = Watch(end, threshold.probe or timedelta(0))
        return this

    def copy(self) -> "Memory":
        """Return one that grows by itself."""
        counted = defaultdict(list, {mark: [*events] for mark, events in self._counted.items()})
        return Memory(dict(self.rounds), dict(self.watches), counted)


def no_better_than(proof: Trust) -> Iterator[Trust]:
    """Give *proof* and all that is less, from the least."""
    return islice(Trust, TRUST_RANK[proof] + 1)


def pool_of(scope: str) -> str:
    """
    Return the pool in which bounces are counted towards a suppression of *scope*.

    A list has its own. A campaign mails an address once, so that its bounces count with all others.
    """
    return scope if scope.startswith("list:") else EVERYWHERE
