"""
The words that a pattern cannot do without.

Where a pattern's letters, groups and optional parts follow each other, they make whole phrases
("user (unknown|not found)" needs "user unknown" or "user not found"): long words are met seldom,
so few patterns are tried in vain. Many patterns are nothing but such phrases.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

SHORTEST = 3  # octets that a word needs to be worth looking for; a Chinese letter has as many
_MOST = 32  # texts that a piece is spread out into
_PLAIN = re.compile(r"[^\\^$.|?*+()\[{]+(?![?*+{])")  # letters, the last not repeated

Words = tuple[str, ...]  # one of them stands in the text


@dataclass(frozen=True, slots=True)
class Piece:
    """What is known of the texts that a piece of a pattern matches; all in lower case."""

    texts: Words = ()  # all of them, in the order in which they are tried; (): not known
    needs: tuple[Words, ...] = ()  # one of each is in whatever matches
    whole: bool = False  # whether each of texts matches wherever it stands


_ANYTHING = Piece()
_BORDER = Piece(texts=("",))  # of a word, or of the text: it must be looked at again


def read(source: str) -> Piece:
    """Return what is known of the pattern *source*. No needs at all: every text must be tried."""
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
        sign, self.rest = self.rest[:1], self.rest[1:]
        if sign == "?":
            texts = ("", *piece.texts) if self._skip("?") else (*piece.texts, "")
            return replace(piece, texts=texts, needs=()) if piece.texts else _ANYTHING
        if sign == "+":
            self._skip("?")
            return replace(piece, texts=(), whole=False)
        if sign == "*":
            self._skip("?")
            return _ANYTHING
        if sign == "{" and "}" in self.rest:
            bounds, _, self.rest = self.rest.partition("}")
            self._skip("?")
            least = int("".join(takewhile(str.isdigit, bounds)) or 0)
            return replace(piece, texts=(), whole=False) if least else _ANYTHING
        self.rest = sign + self.rest
        return piece

    def _skip(self, sign: str) -> bool:
        if not self.rest.startswith(sign):
            return False
        self.rest = self.rest[len(sign) :]
        return True


def _one_of(letters: Sequence[str]) -> Piece:
    texts = tuple(dict.fromkeys(letter.lower() for letter in letters))
    return Piece(texts, _worth(texts), whole=True)


def _worth(*needs: Words) -> tuple[Words, ...]:
    """Return those of *needs* that are worth looking for."""
    return tuple(words for words in needs if min(len(word.encode()) for word in words) >= SHORTEST)


def _sequence(items: Iterator[Piece]) -> Piece:
    """Return what *items* make, one behind the other: phrases, as long as their texts are known."""
    phrases: Words = ("",)
    needs: list[Words] = []
    whole, known = True, True
    for item in items:
        whole = whole and item.whole
        if item.texts and len(phrases) * len(item.texts) <= _MOST:
            phrases = tuple(dict.fromkeys(a + b for a in phrases for b in item.texts))
            continue
        known = False
        needs += [phrases] if item.texts else [phrases, *item.needs]
        phrases = item.texts or ("",)
    needs.append(phrases)
    return Piece(phrases if known else (), _worth(*needs), whole=whole and known)


def _either(found: Sequence[Piece]) -> Piece:
    """Return what is true of each of *found*."""
    if all(piece.texts for piece in found):
        texts = tuple(dict.fromkeys(text for piece in found for text in piece.texts))
        return Piece(texts, _worth(texts), whole=all(piece.whole for piece in found))
    if all(piece.needs for piece in found):
        return Piece(needs=(tuple(word for piece in found for word in _rarest(piece.needs)),))
    return _ANYTHING


def _rarest(needs: Sequence[Words]) -> Words:
    """Return the one of *needs* that is likely met least often: long words, and few of them."""
    return max(needs, key=lambda words: (min(map(len, words)), -len(words)))
