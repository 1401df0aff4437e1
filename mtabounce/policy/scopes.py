"""What a suppression covers: ``all``, ``list:ID`` or ``campaign:NAME``."""

import re

PATTERN = r"^(all|(list|campaign):[^\x00-\x1f\x7f]+)$"
_LIST = "list:"


def scope_key(text: str) -> str:
    """
    Return scope *text* as scopes are compared: a List-Id has no case (RFC 2919 §6).

    Raises ValueError where it is none.
    """
    if not re.fullmatch(PATTERN, text):
        raise ValueError(f"{text!r} is no scope: write all, list:ID or campaign:NAME")
    return text.lower() if text.startswith(_LIST) else text
