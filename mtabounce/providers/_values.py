"""The values that providers write in their own ways: addresses, moments, codes, identifiers."""

import json
import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

_LONG_FRACTION = re.compile(r"(\.\d{6})\d+")  # Go and .NET write seven to nine digits
_DIGITS = re.compile(r"-?\d{1,20}(?:\.\d{1,20})?")
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")  # an escaped backslash before u0000 is none
_MILLISECONDS = 1e11  # seconds since 1970 are below it until the year 5138
MAX_TEXT = 20_000  # characters of one value


def text(value: Any) -> str:
    """Return *value* as text; "" for null and for what has no plain form."""
    if isinstance(value, str):
        return value[:MAX_TEXT].strip()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    return str(value) if isinstance(value, float) or abs(value) < 10**40 else ""


def address(value: Any) -> str:
    """Return the address in *value*, which may be ``Name <a@b>``; "" where there is none."""
    found = text(value)
    if found.endswith(">") and "<" in found:
        found = found[found.rindex("<") + 1 : -1]
    return found.strip()[:320]


def identifier(value: Any) -> str:
    """Return an identifier, a Message-ID without its brackets."""
    return text(value).removeprefix("<").removesuffix(">")[:998]


def reply(value: Any) -> str:
    """Return a server's words without ``smtp;`` before them."""
    found = text(value)
    head, semicolon, rest = found.partition(";")
    return rest.strip() if semicolon and head.strip().lower() == "smtp" else found


def reply_code(value: Any) -> int | None:
    """Return a reply code of SMTP; None for what is none: providers have numbers of their own."""
    found = text(value)
    return int(found) if re.fullmatch(r"[2-5]\d\d", found, re.ASCII) else None


def as_json(value: Any) -> str:
    """
    Return *value* as JSON that PostgreSQL takes: without NUL and half characters.

    Raises ValueError for a number that is none.
    """
    if value is None:
        return ""
    found = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return _NUL.sub(r"\1", found).encode(errors="replace").decode()


def number(digits: str) -> float | str:
    """Return the number that *digits* write; as they stand where it is too large."""
    found = float(digits)
    return found if math.isfinite(found) else digits


def moment(value: Any) -> datetime | None:
    """Return *value* (seconds, milliseconds or microseconds since 1970, ISO 8601, RFC 5322)."""
    found = text(value)
    try:
        if _DIGITS.fullmatch(found):
            return _since_1970(float(found))
        return _aware(found)
    except (ValueError, OverflowError, OSError, TypeError, IndexError):
        return None


def _since_1970(seconds: float) -> datetime | None:
    while abs(seconds) > _MILLISECONDS:
        seconds /= 1000
    return datetime.fromtimestamp(seconds, UTC) if math.isfinite(seconds) and seconds > 0 else None


def _aware(found: str) -> datetime | None:
    if not found:
        return None
    shortened = _LONG_FRACTION.sub(r"\1", found).removesuffix("UTC").strip()
    try:
        when = datetime.fromisoformat(shortened)
    except ValueError:
        when = parsedate_to_datetime(found)
    return when if when.utcoffset() is not None else when.replace(tzinfo=UTC)
