"""When a line was written: stamps without a year or a zone, in summer and winter time."""

import calendar
from datetime import UTC, datetime, timedelta, tzinfo

_MONTHS = {name.encode(): number for number, name in enumerate(calendar.month_abbr) if name}
_AHEAD = timedelta(days=1)  # so far may the clock of the logging host be ahead
_CACHED = 4096
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)  # there was no such log before
_BEYOND = timedelta(days=366)  # a stamp with a year is believed so far: files are copied
_BACKWARDS = timedelta(minutes=5)  # so far may stamps of one log go back


class Clock:
    """
    Reads the time stamps of one log.

    *latest* (aware) is when the log was last written to: a stamp without a year is the last such
    day before it. *zone* is that of stamps without an offset; None: that of this host.
    """

    def __init__(self, latest: datetime, zone: tzinfo | None = None) -> None:
        self._limit = latest + _AHEAD
        self._zone = zone
        self._known: dict[bytes, datetime] = {}
        self._hours: dict[bytes, datetime] = {}
        self._last = _NEVER  # in an hour that came twice
        self._twice = False  # whether the stamp that was read last may mean two moments

    def move(self, latest: datetime) -> None:
        """Note that the log was written to at *latest* (aware)."""
        if (latest + _AHEAD).date() != self._limit.date():  # the same day may be of another year
            self._known.clear()
            self._hours.clear()
        self._limit = latest + _AHEAD

    def at(self, stamp: bytes) -> datetime:
        """
        Return the moment, in UTC, that *stamp* says.

        Where that cannot be, as where there is no such day, or the host had no clock, it is when
        the log was last written to.
        """
        found = self._known.get(stamp)
        if found is None:
            found = self._read(stamp)
            if not self._twice:
                if len(self._known) >= _CACHED:
                    self._known.clear()
                self._known[stamp] = found
        return found

    def hour(self, stamp: bytes) -> datetime:
        """Return the full hour, in UTC, of *stamp*."""
        # Zones differ by half hours, so that ten minutes are always in the same one.
        key = stamp[:15] + stamp[-6:] if stamp[:1].isdigit() else stamp[:-4]
        found = self._hours.get(key)
        if found is None:
            self._twice = False
            found = self.at(stamp).replace(minute=0, second=0, microsecond=0)
            if not self._twice:
                if len(self._hours) >= _CACHED:
                    self._hours.clear()
                self._hours[key] = found
        return found

    def _read(self, stamp: bytes) -> datetime:
        self._twice = False
        try:
            is_dated = stamp[:1].isdigit()
            found = self._aware(_iso(stamp)) if is_dated else self._without_year(stamp)
        except (ValueError, KeyError, OverflowError):
            found = _NEVER
        if not _EARLIEST < found <= self._limit + _BEYOND:
            return self._limit - _AHEAD
        if self._twice:
            self._last = max(self._last, found)
        return found

    def _without_year(self, stamp: bytes) -> datetime:
        month, day, time = stamp.split()
        text = f"{_MONTHS[month]:02}-{int(day):02}T{time.decode()[:15]}"
        for year in range(self._limit.year, self._limit.year - 9, -1):  # 29 February: 8 years back
            try:
                found = self._aware(datetime.fromisoformat(f"{year}-{text}"))
            except ValueError:
                continue
            if found <= self._limit:
                return found
        return _NEVER

    def _aware(self, found: datetime) -> datetime:
        """In the hour that comes twice in autumn, time does not go backwards."""
        if found.tzinfo is not None:
            return found.astimezone(UTC)
        first, second = (self._zoned(found, fold) for fold in (0, 1))
        self._twice = first < second
        return second if self._twice and first < self._last - _BACKWARDS else first

    def _zoned(self, found: datetime, fold: int) -> datetime:
        found = found.replace(fold=fold)
        if self._zone is not None:
            found = found.replace(tzinfo=self._zone)
        return found.astimezone(UTC)


def _iso(stamp: bytes) -> datetime:
    """Exim puts a blank before the offset; a fraction may have nine digits."""
    text = stamp.decode("ascii").replace(",", ".")
    day, rest = text[:10], text[11:].replace(" ", "")
    time, fraction = rest[:8], rest[8:]
    digits = fraction.lstrip(".").split("+")[0].split("-")[0].rstrip("Z") if fraction else ""
    offset = fraction[len(digits) + fraction.startswith(".") :]
    return datetime.fromisoformat(f"{day}T{time}.{digits[:6]:0<6}{offset}")
