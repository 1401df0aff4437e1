"""Texts of strangers: what they are examples of, and what of them may be shown."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

_TEXT_LIMIT = 400  # characters of a text that say what kind it is
_MASKS = (
    (re.compile(r"https?://\S+"), "<url>"),
    (re.compile(r"<?[^\s<>\"'(),:;]+@[^\s<>\"'(),:;]+>?"), "<address>"),
    (re.compile(r"\[?\b\d{1,3}(?:\.\d{1,3}){3}\b\]?"), "<ip>"),
    (re.compile(r"\[?\b(?:[0-9a-f]{1,4}:){2,7}[0-9a-f:]{0,4}\b\]?", re.IGNORECASE), "<ip>"),
    (re.compile(r"\b(?:[a-z0-9_-]+\.)+[a-z]{2,}\b", re.IGNORECASE), "<host>"),
    (re.compile(r"\b(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{6,}\b"), "<id>"),
    (re.compile(r"(?<![\d.])\d{4,}(?![\d.])"), "<number>"),
    # Reply codes begin a text, or what somebody "said: ".
    (re.compile(r"(?:(?<=[^:] )|(?<=[(\[=#/,'\"-]))\d{1,3}(?!\w|\.\d)"), "<number>"),
)


def harmless(text: str, mark: str = "?") -> str:
    """Return *text* on one line, with *mark* for what could do something to a terminal."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else mark for letter in text)


def mask(text: str) -> str:
    """
    Return *text* without what is its own: addresses, hosts, numbers, ids.

    Reply codes and enhanced status codes stay, as rules look at them.
    """
    text = " ".join(text[: 2 * _TEXT_LIMIT].split())
    for pattern, name in _MASKS:
        text = pattern.sub(name, text)
    return text[:_TEXT_LIMIT]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Texts that are the same but for what is masked."""

    masked: str
    count: int
    example: str  # the first of them, as it is
    number: int  # of the thing that the example is from


def clusters(texts: Iterable[tuple[str, int, int]]) -> list[Cluster]:
    """Group *texts* (text, how often, number) by what they are examples of, biggest first."""
    counts: Counter[str] = Counter()
    examples: dict[str, tuple[str, int]] = {}
    for text, count, number in texts:
        masked = mask(text)
        counts[masked] += count
        examples.setdefault(masked, (text, number))
    return [
        Cluster(masked=masked, count=count, example=examples[masked][0], number=examples[masked][1])
        for masked, count in counts.most_common()
    ]
