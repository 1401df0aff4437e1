"""
The address that a mail was forwarded from, as Postfix says it in the words for people.

Where an upstream server named a recipient (RFC 3461 §4.2), its delivery status has that instead.
"""

import re
from collections import defaultdict

# It begins a line of its own: what a remote host has said stands further in.
_EXPANDED = re.compile(
    r"(?m)^<([^\n]{1,320}?)>\s{1,8}\(expanded\s{1,8}from\s{1,8}<([^\n]{1,320}?)>\):"
)


class Expanded:
    """Whom each recipient in *prose* was expanded from, in the order of the text."""

    def __init__(self, prose: str) -> None:
        self._left: defaultdict[str, list[str]] = defaultdict(list)
        if "(expanded" in prose:
            for final, origin in _EXPANDED.findall(prose):
                self._left[final.lower()].append(origin)

    def next_of(self, final: str) -> str:
        """Return from what the next recipient *final* was expanded; "" where it is not said."""
        left = self._left.get(final.lower())
        return left.pop(0) if left else ""
