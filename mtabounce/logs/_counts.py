"""Counts deliveries by the hour and by whom they went from and to."""

from collections import Counter, defaultdict
from datetime import datetime

from mtabounce.logs._clock import Clock
from mtabounce.logs._events import State, decoded
from mtabounce.logs._messages import Bucket

_Whom = tuple[bytes, bytes, bytes]  # domain, relay, domain of the sender


class Counts:
    """How many deliveries ended how; *clock* knows what stamps mean."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: dict[tuple[datetime, State], defaultdict[_Whom, int]] = {}
        self._hour = clock.hour(b"")
        self._begin(self._hour)

    def sent(self, stamp: bytes, whom: _Whom, times: int = 1) -> None:
        """Count what was sent at *stamp*: it is nearly all there is."""
        if stamp != self._stamp:
            self._turn_to(stamp)
        self._sent[whom] += times

    def add(self, stamp: bytes, whom: _Whom, state: State, times: int) -> None:
        """Count what ended as *state* at *stamp*."""
        if stamp != self._stamp:
            self._turn_to(stamp)
        self._of(state)[whom] += times

    def take(self) -> Counter[tuple[Bucket, State]]:
        """Return the counts since the last time."""
        found = Counter[tuple[Bucket, State]]()
        names = _Names()
        for (hour, state), counts in self._counts.items():
            for (domain, relay, sender), count in counts.items():
                bucket = Bucket(hour, names[domain], names[relay], names[sender])
                found[bucket, state] += count
        self._counts = {}
        self._begin(self._hour)
        return found

    def _of(self, state: State) -> defaultdict[_Whom, int]:
        found = self._counts.get((self._hour, state))
        if found is None:
            found = self._counts[self._hour, state] = defaultdict(int)
        return found

    def _turn_to(self, stamp: bytes) -> None:
        """Count in the hour of *stamp* from now on."""
        hour = self._clock.hour(stamp)
        if hour != self._hour:
            self._begin(hour)
        self._stamp = stamp

    def _begin(self, hour: datetime) -> None:
        self._stamp, self._hour = b"", hour
        self._sent = self._of(State.SENT)


class _Names(dict[bytes, str]):
    def __missing__(self, raw: bytes) -> str:
        found = self[raw] = decoded(raw).lower()
        return found
