"""When a log that is over was last written to: the times of its file may be those of a copy."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)  # archives are unpacked with times such as 1970
# logrotate's "dateext", also by the hour. Some name a file by the day on which it begins, but
# hardly any holds more than a month.
_DATED = re.compile(r"[-._](\d{4})-?(\d\d)-?(\d\d)(?:\d\d)?(?!\d)")
_HOLDS = timedelta(days=32)


def written_at(path: Path) -> datetime:
    """Return when *path* was last written to, at the latest; now, where that cannot be told."""
    now = datetime.now(UTC)
    try:
        seen = datetime.fromtimestamp(path.stat().st_mtime, tz=UTC)
    except (OSError, OverflowError, ValueError):
        seen = now
    if not _EARLIEST < seen <= now:
        seen = now
    named = _named(path.name)
    return seen if named is None or named < _EARLIEST else min(seen, named + _HOLDS)


def _named(name: str) -> datetime | None:
    """Return the day that *name* says."""
    found = _DATED.search(name)
    if found is None:
        return None
    year, month, day = map(int, found.groups())
    try:
        return datetime(year, month, day, tzinfo=UTC)
    except ValueError:
        return None
