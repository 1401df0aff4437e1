"""
The words that a pattern cannot do without.

Where a pattern's letters, groups and optional parts follow each other, they make whole phrases
("user (unknown|not found)" needs "user unknown" or "user not found"): long words are met seldom,
so few patterns are tried in vain. Many patterns are nothing but such phrases.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from typing import NamedTuple

SHORTEST = 3  # octets that a word needs to be worth looking for; a Chinese letter has as many
_MOST = 32  # texts that a piece is spread out into
_PLAIN = re.compile(r"[^\\^$.|?*+()\[{]+(?![?*+{])")  # letters, the last not repeated
_PLAIN_GROUP = re.compile(r"\((?:\?:)?([^\\^$.?*+()\[{]*)\)")  # alternatives of letters only

_REPEATS = frozenset("?+*{")

Words = tuple[str, ...]  # one of them stands in the text


class Piece(NamedTuple):  # made for each part of each pattern, at each start
    """What is known of the texts that a piece of a pattern matches; all in lower case."""

    texts: Words = ()  # all of them, in the order in which they are tried; (): not known
    needs_of_unknown: tuple[Words, ...] = ()  # the needs, where texts are not known
    whole: bool = False  # whether each of texts matches wherever it stands

    @property
    def needs(self) -> tuple[Words, ...]:
        """Sets of words, in their order: one of each is in whatever matches."""
        return _worth(self.texts) if self.texts else self.needs_of_unknown


_ANYTHING = Piece()
_BORDER = Piece(texts=("",))  # of a word, or of the text: it must be looked at again


def read(source: str) -> Piece:
    """Return what is known of the pattern *source*. No needs at all: every text must be tried."""
    if _PLAIN.fullmatch(source):
        return _one_of((source,))
    return _Reader(source).alternatives()


class _Reader:
    """
    Reads just enough of a pattern's syntax to find the words it cannot do without.

    Where it is not sure it says "anything": a pattern is then tried too often, never too seldom.
    """

    def __init__(self, source: str) -> None:
        self.rest = source

    def alternatives(self) -> Piece:
        found = [_sequence(self._items())]
        while self._skip("|"):
            found.append(_sequence(self._items()))
        return found[0] if len(found) == 1 else _either(found)

    def _items(self) -> Iterator[Piece]:
        while self.rest and self.rest[0] not in "|)":
            yield self._times(self._item())

    def _item(self) -> Piece:
        if plain := _PLAIN.match(self.rest):  # most of all, at once: this is done at each start
            self.rest = self.rest[plain.end() :]
            return _one_of((plain[0],))
        if group := _PLAIN_GROUP.match(self.rest):
            self.rest = self.rest[group.end() :]
            return _one_of(group[1].split("|"))
        first, self.rest = self.rest[0], self.rest[1:]
        if first == "(":
            return self._group()
        if first == "[":
            return self._class()
        if first == "\\":
            return self._escape()
        if first in "^$":
            return _BORDER
        return _ANYTHING if first == "." else _one_of((first,))

    def _group(self) -> Piece:
        self._skip("?:")
        found = self.alternatives()
        self._skip(")")
        return found

    def _class(self) -> Piece:
        end = self.rest.find("]", 2 if self.rest[:2] == "^]" else 1)
        while end > 0 and self.rest[end - 1] == "\\":
            end = self.rest.find("]", end + 1)
        letters = self.rest[:end] if end > 0 else "^"
        self.rest = self.rest[end + 1 :] if end > 0 else ""
        is_plain = letters[0] not in "^[" and "\\" not in letters and "-" not in letters[1:-1]
        return _one_of(letters) if is_plain else _ANYTHING

    def _escape(self) -> Piece:
        escaped, self.rest = self.rest[:1], self.rest[1:]
        if escaped in ("b", "B"):
            return _BORDER
        return _ANYTHING if escaped.isalnum() else _one_of((escaped,))

    def _times(self, piece: Piece) -> Piece:
        """Return *piece* as often as the sign behind it says."""
        sign = self.rest[:1]
        if sign not in _REPEATS:
            return piece
        self.rest = self.rest[1:]
        if sign == "?":
            texts = ("", *piece.texts) if self._skip("?") else (*piece.texts, "")
            return Piece(_each_once(texts), whole=piece.whole) if piece.texts else _ANYTHING
        if sign == "{":
            return self._counted(piece)
        self._skip("?")
        return Piece(needs_of_unknown=piece.needs) if sign == "+" else _ANYTHING

    def _counted(self, piece: Piece) -> Piece:
        bounds, end, rest = self.rest.partition("}")
        if not end:
            self.rest = "{" + self.rest
            return piece
        self.rest = rest
        self._skip("?")
        least = int("".join(takewhile(str.isdigit, bounds)) or 0)
        return Piece(needs_of_unknown=piece.needs) if least else _ANYTHING

    def _skip(self, sign: str) -> bool:
        if not self.rest.startswith(sign):
            return False
        self.rest = self.rest[len(sign) :]
        return True


def _one_of(texts: Sequence[str]) -> Piece:
    return Piece(_each_once([text.lower() for text in texts]), whole=True)


def _worth(*needs: Words) -> tuple[Words, ...]:
    """Return those of *needs* that are worth looking for."""
    return tuple(words for words in needs if _is_long(words))


def _is_long(words: Words) -> bool:
    """Whether each of *words* has the octets; letters are counted first: they are no more."""
    if min(map(len, words)) >= SHORTEST:
        return True
    return all(len(word.encode()) >= SHORTEST for word in words)


def _sequence(items: Iterator[Piece]) -> Piece:
    """Return what *items* make, one behind the other: phrases, as long as their texts are known."""
    phrases: Words = ("",)
    needs: list[Words] = []
    whole, known = True, True
    for item in items:
        whole = whole and item.whole
        if item.texts and len(phrases) * len(item.texts) <= _MOST:
            phrases = _joined(phrases, item.texts)
            continue
        known = False
        needs += [phrases] if item.texts else [phrases, *item.needs]
        phrases = item.texts or ("",)
    if known:
        return Piece(phrases, whole=whole)
    return Piece(needs_of_unknown=_worth(*needs, phrases))


def _joined(phrases: Words, texts: Words) -> Words:
    if len(phrases) == 1:
        return tuple([phrases[0] + text for text in texts])
    return _each_once([phrase + text for phrase in phrases for text in texts])


def _each_once(texts: Iterable[str]) -> Words:
    return tuple(dict.fromkeys(texts))


def _either(found: Sequence[Piece]) -> Piece:
    """Return what is true of each of *found*."""
    if all(piece.texts for piece in found):
        texts = _each_once(text for piece in found for text in piece.texts)
        return Piece(texts, whole=all(piece.whole for piece in found))
    needs = [piece.needs for piece in found]
    if all(needs):
        return Piece(needs_of_unknown=(tuple(word for each in needs for word in _rarest(each)),))
    return _ANYTHING


def _rarest(needs: Sequence[Words]) -> Words:
    """Return the one of *needs* that is likely met least often: long words, and few of them."""
    return max(needs, key=lambda words: (min(map(len, words)), -len(words)))
