"""How many messages bounced within a window, counted as they come: no event is looked at twice."""

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

from mtabounce.policy.events import Event


@dataclass(slots=True)
class Tally:
    """Bounces within a window."""

    window: timedelta | None  # None: all
    _events: deque[Event] = field(default_factory=deque)
    _messages: defaultdict[str, deque[Event]] = field(default_factory=lambda: defaultdict(deque))
    _taken: int = 0  # of those that it was given

    def take(self, counted: Sequence[Event], at: datetime) -> None:
        """Count what is new in *counted*, which grows in order of time, and drop what is past."""
        for number in range(self._taken, len(counted)):
            event = counted[number]
            self._events.append(event)
            self._messages[_message(event)].append(event)
        self._taken = len(counted)
        while self.window is not None and self._events and at - self._events[0].at > self.window:
            self._drop(self._events.popleft())

    def _drop(self, event: Event) -> None:
        message = _message(event)
        self._messages[message].popleft()
        if not self._messages[message]:
            del self._messages[message]

    @property
    def messages(self) -> int:
        """How many different messages there are."""
        return len(self._messages)

    @property
    def span(self) -> timedelta:
        """The time between the first and the last."""
        return self._events[-1].at - self._events[0].at

    def first(self, count: int) -> list[Event]:
        """Return one bounce of each of *count* different messages."""
        return [events[0] for events in islice(self._messages.values(), count)]


def _message(event: Event) -> str:
    return event.message or f"bounce {event.id}"
