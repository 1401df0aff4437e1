"""Says how long a reader that is far behind will take."""

import logging
import time

log = logging.getLogger(__name__)

FAR = 64 << 20  # bytes: a reader that is so far behind tells …
TELL = 30.0  # … how it goes on, each so many seconds


class Pace:
    """How fast the log *label* is read, by how much of it is left from time to time."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._told: tuple[float, int] | None = None  # when, and how much was left; None: not far

    def note(self, behind: int) -> None:
        """Note that *behind* bytes are left, and log it where that is much."""
        now = time.monotonic()
        if behind < FAR:
            if self._told is not None:
                log.warning("log %s: read up to its end, or nearly so", self._label)
            self._told = None
        elif self._told is None:
            log.warning("log %s: %d MB wait to be read", self._label, behind >> 20)
            self._told = now, behind
        elif now - self._told[0] >= TELL:
            self._tell(now, behind)

    def _tell(self, now: float, behind: int) -> None:
        then, before = self._told or (now, behind)
        speed = (before - behind) / max(now - then, 0.001)  # bytes a second
        left = f"about {behind / speed / 60:.0f} minutes left" if speed > 0 else "and it grows"
        log.warning("log %s: %d MB wait to be read, %s", self._label, behind >> 20, left)
        self._told = now, behind
