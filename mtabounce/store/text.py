"""What may go into a text column: PostgreSQL takes no NUL, and UTF-8 knows no lone surrogate."""

import re

_REPLACED = "\N{REPLACEMENT CHARACTER}"
_BREAKS = re.compile(r"\r\n|[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")
_LOST = re.compile("[\0\ud800-\udfff]")
_CONTROLS = re.compile(r"[\x01-\x08\x0e-\x1b\x1f\x7f-\x9f]")


def clean_text(value: str | bytes) -> str:
    """
    Return *value* as text that PostgreSQL stores and a terminal survives.

    A line break becomes a space; NUL, invalid UTF-8 and lone surrogates become U+FFFD; other
    control characters but the tab are dropped. The raw bytes are kept in the input.
    """
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    if text.isprintable():  # nearly always, and five times as fast as to look for each
        return text
    text = _LOST.sub(_REPLACED, _BREAKS.sub(" ", text))
    return _CONTROLS.sub("", text)
