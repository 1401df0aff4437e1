"""
Patterns in linear time: the words that a pattern cannot do without, and RE2 for the rest.

A text is searched once for the needed words of all patterns (Aho-Corasick); RE2 sees only the
few patterns all of whose words are there. Patterns match in any case of letters.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import Any

# Not re2.compile: what it wraps around each search costs more than many of the searches.
from re2 import _re2

SHORTEST = 3  # letters that a word needs to be worth looking for

Words = frozenset[str]  # one of them stands in the text
Needs = tuple[Words, ...]  # one of each

# What RE2 and Hyperscan both take, and what _Reader understands: no flags, no look-around, no
# named groups; of the escapes only classes, word borders and punctuation.
_FOREIGN = re.compile(r"\\[^\W_bBdDsSwW]|(?<!\\)\(\?(?!:)")
_META = frozenset(r"\.^$*+?{}[]|()")
_ESCAPED = re.compile(r"\\([^\w\s])")
_OUTLINE = re.compile(r"\\.|\[\^?\]?[^\]\\]*(?:\\.[^\]\\]*)*\]|[()|]")  # skips escapes, [classes]
_UNANCHORED = _re2.RE2.Anchor.UNANCHORED
_OPTIONS = _re2.RE2.Options()
_OPTIONS.case_sensitive = False
_OPTIONS.log_errors = False
_OPTIONS.never_capture = True  # finding submatches costs more than finding the match


class Pattern:
    """One search pattern, compiled when a text first needs it."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.needs = needs_of(source)
        self._plain = _plain(source)

    def search(self, text: bytes) -> tuple[int, int] | None:
        """Return where the pattern is in *text* (lower case, UTF-8), None where it is not."""
        if self._plain is not None:
            start = text.find(self._plain)
            return None if start < 0 else (start, start + len(self._plain))
        ((start, end),) = self._compiled.Match(_UNANCHORED, text, 0, len(text))
        return None if start < 0 else (start, end)

    def check(self) -> None:
        """Compile the pattern now. Raises ValueError where it is none that we take."""
        if foreign := _FOREIGN.search(self.source):
            raise ValueError(f"'{foreign[0]}' is not supported in patterns")
        if not self._compiled.ok():
            raise ValueError(self._compiled.error().decode(errors="replace"))

    @cached_property
    def _compiled(self) -> Any:
        return _re2.RE2(self.source.encode(), _OPTIONS)


def needs_of(source: str) -> tuple[Needs, ...]:
    """
    Return what a text must hold for *source* to match: all the needs of one of the alternatives.

    Words are lower case. No alternatives at all: every text must be tried.
    """
    found = _Reader(source).alternatives()
    return tuple(found) if all(found) else ()


def alternatives_of(source: str) -> list[str]:
    """Return what stands between the outermost "|" of *source*: small patterns are fast ones."""
    parts, depth, start = [], 0, 0
    for found in _OUTLINE.finditer(source):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if found[0] == "|" and not depth:
            parts.append(source[start : found.start()])
            start = found.end()
    return [*parts, source[start:]]


def _plain(source: str) -> bytes | None:
    """Return the lower-case text that *source* stands for, None where it is a real pattern."""
    bare = _ESCAPED.sub("", source)
    return None if _META & set(bare) else _ESCAPED.sub(r"\1", source).lower().encode()


@dataclass(slots=True, eq=False)
class _Atom:
    """One item of a pattern: a letter, or something whose needed words may be known."""

    letter: str = ""  # "" where the item is more than one fixed letter
    alternatives: tuple[Needs, ...] = ()  # of a group, where all of them need something
    least: int = 1  # times that the item must be there
    most: int | None = 1  # None: any number of times


class _Reader:
    """
    Reads just enough of a pattern's syntax to find the words it cannot do without.

    Where it is not sure it says "no words": a pattern is then tried too often, never too seldom.
    """

    def __init__(self, source: str) -> None:
        self.rest = source

    def alternatives(self) -> list[Needs]:
        found = [*_needs_of_all(list(self._items()))]
        while self._skip("|"):
            found += _needs_of_all(list(self._items()))
        return found

    def _items(self) -> Iterator[_Atom]:
        while self.rest and self.rest[0] not in "|)":
            atom = self._item()
            atom.least, atom.most = self._times()
            yield atom

    def _item(self) -> _Atom:
        first, self.rest = self.rest[0], self.rest[1:]
        if first == "(":
            return self._group()
        if first == "[":
            return self._class()
        if first == "\\":
            return self._escape()
        return _Atom() if first in ".^$" else _Atom(letter=first.lower())

    def _group(self) -> _Atom:
        self._skip("?:")
        found = self.alternatives()
        self._skip(")")
        return _Atom(alternatives=tuple(found) if all(found) else ())

    def _class(self) -> _Atom:
        end = self.rest.find("]", 2 if self.rest[:2] == "^]" else 1)
        while end > 0 and self.rest[end - 1] == "\\":
            end = self.rest.find("]", end + 1)
        self.rest = self.rest[end + 1 :] if end > 0 else ""
        return _Atom()

    def _escape(self) -> _Atom:
        escaped, self.rest = self.rest[:1], self.rest[1:]
        return _Atom() if escaped.isalnum() else _Atom(letter=escaped)

    def _times(self) -> tuple[int, int | None]:
        least, most = 1, 1
        if self._skip("?"):
            least = 0
        elif self._skip("*"):
            return self._lazy(0, None)
        elif self._skip("+"):
            return self._lazy(1, None)
        elif self.rest[:1] == "{" and "}" in self.rest:
            bounds, _, self.rest = self.rest[1:].partition("}")
            digits = "".join(takewhile(str.isdigit, bounds))
            return self._lazy(int(digits or 0), None)
        else:
            return 1, 1
        return self._lazy(least, most)

    def _lazy(self, least: int, most: int | None) -> tuple[int, int | None]:
        self._skip("?")
        return least, most

    def _skip(self, sign: str) -> bool:
        if not self.rest.startswith(sign):
            return False
        self.rest = self.rest[len(sign) :]
        return True


def rarest(needs: Needs) -> Words:
    """Return the one of *needs* that is likely met least often: long words, and few of them."""
    return max(needs, key=lambda words: (min(map(len, words)), -len(words)))


def _needs_of_all(items: list[_Atom]) -> list[Needs]:
    """
    Return what a sequence of *items* needs: alternatives, one of which must be there whole.

    Letters that follow each other are one word. One group is spread out, so that "(unknown|not
    (found|here))" asks "found" or "here" beside "not"; of others, the rarest word of each
    alternative must do.
    """
    choices, run = [], ""
    groups = [item for item in items if item.alternatives and item.least]
    spread = max(groups, key=lambda item: max(map(len, item.alternatives)), default=None)
    for item in items:
        if item.letter and item.least:
            run += item.letter
        if item.letter and (item.least, item.most) == (1, 1):
            continue
        choices.append(frozenset({run}))
        run = ""
        if item in groups and item is not spread:
            choices.append(frozenset().union(*map(rarest, item.alternatives)))
    choices.append(frozenset({run}))
    needs = tuple(words for words in choices if min(map(len, words)) >= SHORTEST)
    return [needs + more for more in _merged(spread.alternatives)] if spread else [needs]


def _merged(alternatives: Sequence[Needs]) -> list[Needs]:
    """Return *alternatives* with all those that need one word only made one."""
    single = [needs[0] for needs in alternatives if len(needs) == 1]
    several = [needs for needs in alternatives if len(needs) > 1]
    return [(frozenset().union(*single),), *several] if single else several
