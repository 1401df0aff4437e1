"""Files of a log that cannot be opened: what came later waits for them, but not for ever."""

import errno
import logging
import time
from pathlib import Path

from mtabounce.store.logs import LogFile

log = logging.getLogger(__name__)

PATIENCE = 60.0  # seconds that what came later waits
AGAIN = 1.0  # seconds between two tries to open them
REASONS = (errno.EACCES, errno.EPERM, errno.EIO)  # a file's own, and perhaps for long

Inode = tuple[int, int]  # and the device before it


class Aside:
    """The files of the log *label* that are read once they can be opened."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._rows: list[LogFile] = []
        self._since: dict[Inode, float] = {}  # on the monotonic clock
        self._told: set[int] = set()  # ids of rows
        self._tried_at = 0.0

    @property
    def inodes(self) -> set[Inode]:
        """Which they are."""
        return {(row.device, row.inode) for row in self._rows}

    def wait_for(self, place: Path, error: OSError) -> Inode:
        """Raise *error*, why *place* cannot be opened, unless that is so for long; return which."""
        seen = place.stat()
        inode = seen.st_dev, seen.st_ino
        now = time.monotonic()
        if now - self._since.setdefault(inode, now) < PATIENCE:
            raise error
        return inode

    def add(self, row: LogFile, place: Path, error: OSError) -> None:
        """Put the file of *row* aside, and say so."""
        self._rows.append(row)
        if row.id not in self._told:
            self._told.add(row.id)
            log.error(
                "log %s: %s: %s: it is read once it can be, and what came later is read now",
                self._label,
                place,
                error.strerror or error,
            )

    def take(self) -> list[LogFile]:
        """Give all away, to be tried again."""
        self._tried_at = time.monotonic()
        rows, self._rows = self._rows, []
        return rows

    @property
    def is_due(self) -> bool:
        """Whether it is time to try again."""
        return bool(self._rows) and time.monotonic() - self._tried_at >= AGAIN
