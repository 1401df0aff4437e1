"""Rows on their way into PostgreSQL: one JSON array that json_to_recordset takes apart."""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from mtabounce.store.text import clean_text

Row = Mapping[str, Any]
# Escapes of what clean_text() would change: line breaks, controls, C1, surrogates.
_SUSPICIOUS = re.compile(r"\\(?:[nrbf]|u00[0189]|u202[89]|ud[89a-f])|\x7f")


def as_json(rows: Iterable[Row]) -> str:
    """
    Return *rows* as one JSON array; strings are cleaned, bytes become hexadecimal.

    Raises TypeError for a value that has no such form.
    """
    given = list(rows)
    text = json.dumps(given, default=_plain)
    if _SUSPICIOUS.search(text):  # seldom; to clean each string costs more than all else here
        text = json.dumps([_clean(row) for row in given], default=_plain)
    return text


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, Mapping):
        return {clean_text(name): _clean(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in a row")
