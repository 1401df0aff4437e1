"""Dates of mail headers, quickly: what is no date is None."""

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

_RFC_5322 = re.compile(
    r"(\d{1,2})[ -]([A-Za-z]{3})[a-z]{0,6}[ -](\d{4}|\d\d)\s+(\d{1,2})[:.](\d\d)(?:[:.](\d\d))?"
    r"(?:[.,]\d{1,9})?\s*([+-]\d{4}|[A-Z]{1,5})?"
)
_CTIME = re.compile(
    r"([A-Z][a-z]{2})\s+(\d{1,2})\s+(\d{1,2}):(\d\d):(\d\d)\s+(?:([A-Z]{1,5})\s+)?(\d{4})"
    r"(?:\s+([+-]\d{4}))?"
)
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_HOURS = {"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}
_HOURS |= {"JST": 9, "CET": 1, "CEST": 2, "MET": 1, "BST": 1, "MSK": 3, "HKT": 8, "KST": 9}
_LONGEST = 128  # characters


@lru_cache(maxsize=16)  # the dates of a notice are often the same
def parse_date(text: str) -> datetime | None:
    """Return the aware date-time that *text* says (RFC 5322, ctime or ISO); None where none."""
    text = text[:_LONGEST].strip()
    try:
        if found := _RFC_5322.search(text):
            day, month, year, hour, minute, second, zone = found.groups()
        elif found := _CTIME.search(text):
            month, day, hour, minute, second, name, year, zone = found.groups()
            zone = zone or name
        else:
            return _iso(text)
        return _made(year, month, day, (hour, minute, second or "0"), zone or "")
    except (ValueError, OverflowError):
        return None


def _iso(text: str) -> datetime | None:
    if len(text) < 10 or not text[0].isdigit():
        return None
    when = datetime.fromisoformat(text)
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _made(year: str, month: str, day: str, clock: tuple[str, str, str], zone: str) -> datetime:
    number = int(year)
    if number < 100:  # RFC 5322 §4.3
        number += 2000 if number < 50 else 1900
    hour, minute, second = map(int, clock)
    return datetime(
        number,
        _MONTHS.index(month.lower()) + 1,
        int(day),
        hour,
        minute,
        min(second, 59),  # leap seconds
        tzinfo=_zone(zone),
    )


def _zone(text: str) -> timezone:
    if text[:1] in ("+", "-"):
        offset = timedelta(hours=int(text[1:3]), minutes=int(text[3:5]))
        return timezone(-offset if text[0] == "-" else offset)
    hours = _HOURS.get(text, 0)  # other names are read as RFC 5322 §4.3 reads military ones
    return timezone(timedelta(hours=hours))
