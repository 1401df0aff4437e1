"""Reads settings from environment variables: MTABOUNCE_SECTION__KEY."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from pydantic import BaseModel, TypeAdapter, ValidationError

from mtabounce.config.messages import unknown_variable
from mtabounce.config.shape import (
    Place,
    alternatives,
    is_list,
    section_in,
    step,
)
from mtabounce.places import PREFIX

_NUMBER = re.compile("[0-9]{1,4}")


class Setting(NamedTuple):
    """One variable that says something, or says it wrongly."""

    variable: str
    place: Place
    value: Any  # as TOML would have given it
    complaint: str = ""  # "" where the variable names a key that there is


def settings_in(environ: Mapping[str, str], settings: type[BaseModel]) -> Iterator[Setting]:
    """
    Give what the variables of *environ* set, sorted by name, numbers by their value.

    A variable without a double underscore is not of the configuration, and an empty one is
    as good as none. A number is that of an item of a list: MTABOUNCE_LOG__0__PATH.
    """
    for name in sorted(environ, key=_by_number):
        text, parts = environ[name], name.removeprefix(PREFIX).split("__")
        if not name.startswith(PREFIX) or len(parts) == 1 or not text:
            continue
        place = tuple(int(part) if _NUMBER.fullmatch(part) else part.lower() for part in parts)
        yield _setting(name, place, text, settings)


def _by_number(name: str) -> list[tuple[str, int]]:
    return [
        (part, 0) if not _NUMBER.fullmatch(part) else ("", int(part)) for part in name.split("__")
    ]


def _setting(name: str, place: Place, text: str, settings: type[BaseModel]) -> Setting:
    annotation: Any = settings
    for length, part in enumerate(place):
        inner = step(annotation, part)
        if inner is None:
            section = section_in(annotation)
            wrong = unknown_variable(place[: length + 1], section)
            return Setting(name, place[: length + 1], text, wrong)
        annotation = inner
    try:
        text.encode()
    except UnicodeEncodeError:
        return Setting(name, place, text, "is not UTF-8 text")
    return Setting(name, place, _decoded(text, annotation))


def _decoded(text: str, annotation: Any) -> Any:
    """Return *text* as TOML would have given it; *text* itself where it is text, or is wrong."""
    if section_in(annotation) or is_list(annotation):
        with suppress(ValueError):
            return json.loads(text)
    if is_list(annotation):
        inner = step(annotation, 0)
        return [_decoded(item.strip(), inner) for item in text.split(",") if item.strip()]
    for one in alternatives(annotation):  # not those that have a way of writing of their own
        if one in (bool, int, float):
            try:
                return TypeAdapter(one).validate_python(text)
            except ValidationError:
                continue
    return text
