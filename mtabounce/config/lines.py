"""Finds the line on which each key of a TOML text stands."""

import tomllib
from collections.abc import Iterator
from typing import Any

from mtabounce.config.shape import Place


def lines_of(text: str) -> dict[Place, int]:
    """
    Return the line (from 1) that first names each key and section of valid TOML *text*.

    The parser of the standard library keeps no positions, so it is asked about one
    statement at a time: a header, or a key with its value.
    """
    lines: dict[Place, int] = {}
    header: Place = ()
    counts: dict[Place, int] = {}
    for number, statement in _statements(text):
        table = tomllib.loads(statement)
        if statement.lstrip().startswith("["):
            header = _open(table, counts)
            places = [header]
        else:
            places = [(*header, *place) for place in _places(table)]
        for place in places:
            for length in range(1, len(place) + 1):
                lines.setdefault(place[:length], number)
    return lines


def _statements(text: str) -> Iterator[tuple[int, str]]:
    start, waiting = 1, ""
    for number, line in enumerate(text.split("\n"), 1):
        waiting += line + "\n"
        try:
            table = tomllib.loads(waiting)
        except tomllib.TOMLDecodeError:
            continue  # its value goes on in the next line
        if table:
            yield start, waiting
        start, waiting = number + 1, ""


def _open(table: dict[str, Any], counts: dict[Place, int]) -> Place:
    """Return the place that a header opens; *counts* are the tables of each list so far."""
    place: Place = ()
    value: Any = table
    while isinstance(value, dict) and value:
        ((name, value),) = value.items()
        place = (*place, name)
        if value == [{}]:
            counts[place] = counts.get(place, 0) + 1
        if place in counts:
            place = (*place, counts[place] - 1)
    return place


def _places(value: Any) -> Iterator[Place]:
    """Give the way to each key inside *value*, outermost first."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for part, inner in items:
        yield (part,)
        for place in _places(inner):
            yield (part, *place)
