"""
Patterns in linear time: the words that a pattern cannot do without, and RE2 for the rest.

A text is searched once for words of all patterns (Aho-Corasick); a pattern that is more than its
words is tried by RE2 where they are there. Patterns match in any case of letters.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

# Not re2.compile: what it wraps around each search costs more than many of the searches.
from re2 import _re2

from mtabounce.classify import literals

# What RE2 and Hyperscan both take, and what literals.read understands: no flags, no look-around,
# no named groups; of the escapes only classes, word borders and punctuation.
_FOREIGN = re.compile(r"\\[^\W_bBdDsSwW]|(?<!\\)\(\?(?!:)")
_OUTLINE = re.compile(r"\\.|\[\^?\]?[^\]\\]*(?:\\.[^\]\\]*)*\]|[()|]")  # skips escapes, [classes]
_UNANCHORED = _re2.RE2.Anchor.UNANCHORED
_OPTIONS = _re2.RE2.Options()
_OPTIONS.case_sensitive = False
_OPTIONS.log_errors = False
_OPTIONS.never_capture = True  # finding submatches costs more than finding the match
_FEW = 8  # words that are looked for one by one sooner than RE2 does it

Span = tuple[int, int]  # where a match starts, and where it ends


class Pattern:
    """One search pattern, compiled when a text first needs it."""

    # Some are looked at for each reply, others for the next: the less memory, the more is at hand.
    __slots__ = ("_match", "_texts", "needs", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        known = literals.read(source)
        self.needs = known.needs
        self._texts = _encoded(known.texts) if known.whole and len(known.texts) <= _FEW else ()
        self._match: Any = None  # until it is compiled

    def search(self, text: bytes) -> Span | None:
        """Return where the pattern is in *text* (lower case, UTF-8), None where it is not."""
        if self._texts:
            return _first(text, self._texts)
        match = self._match or self._compile().Match
        ((start, end),) = match(_UNANCHORED, text, 0, len(text))
        return None if start < 0 else (start, end)

    def check(self) -> None:
        """Compile the pattern now. Raises ValueError where it is none that we take."""
        if foreign := _FOREIGN.search(self.source):
            raise ValueError(f"'{foreign[0]}' is not supported in patterns")
        compiled = self._compile()
        if not compiled.ok():
            raise ValueError(compiled.error().decode(errors="replace"))

    def _compile(self) -> Any:
        compiled = _re2.RE2(self.source.encode(), _OPTIONS)
        self._match = compiled.Match
        return compiled


def alternatives_of(source: str) -> list[str]:
    """Return what stands between the outermost "|" of *source*: small patterns are fast ones."""
    if "|" not in source:
        return [source]
    parts, depth, start = [], 0, 0
    for found in _OUTLINE.finditer(source):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if found[0] == "|" and not depth:
            parts.append(source[start : found.start()])
            start = found.end()
    return [*parts, source[start:]]


def _encoded(words: Iterable[str]) -> tuple[bytes, ...]:
    return tuple(word.encode() for word in words)


def _first(text: bytes, words: Sequence[bytes]) -> Span | None:
    """Return where the leftmost of *words* is in *text*; of two, the one that is tried first."""
    places = [(start, turn) for turn, word in enumerate(words) if (start := text.find(word)) >= 0]
    if not places:
        return None
    start, turn = min(places)
    return start, start + len(words[turn])
