"""Walks over settings classes: which sections and keys there are, and what they hold."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from mtabounce.config.values import (
    ListenAddress,
    SecretFile,
    Words,
    found,
    hide_passwords,
    quoted,
)
from mtabounce.places import PREFIX

LISTS = (list, tuple, set, frozenset)
Place = tuple[str | int, ...]  # a way into the configuration: ("http", "listen"), ("log", 0)

_KINDS: dict[Any, str] = {
    str: "text",
    bool: "true or false",
    int: "whole number",
    float: "number",
    Path: "path",
    ListenAddress: "address",
    SecretFile: "secret file",
    SecretStr: "secret text",
}


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the configuration."""

    place: tuple[str, ...]  # "*" stands for any name, or for each table of a list
    annotation: Any
    field: FieldInfo
    owner: type[BaseModel]  # the section that has it
    header: str  # as TOML writes it: "[http]", "[[log]]", "[webhooks.NAME]"

    @property
    def name(self) -> str:
        """The key itself."""
        return self.place[-1]

    @property
    def environment(self) -> str:
        """The environment variable that sets it; 0 is the first table of a list, and so on."""
        free = "NAME" if "NAME" in self.header else "0"
        return PREFIX + "__".join(free if part == "*" else part.upper() for part in self.place)

    @property
    def description(self) -> str:
        """What the key is for."""
        return self.field.description or ""

    @property
    def kind(self) -> str:
        """What it holds, in words."""
        return kind(self.annotation)

    @property
    def default(self) -> str | None:
        """The default as TOML writes it; None where there is none, or it is "not set"."""
        extra = self.field.json_schema_extra
        if isinstance(extra, dict) and "default" in extra:
            return str(extra["default"])  # one that depends on the machine, in words
        value = self.field.get_default(call_default_factory=True)
        return None if value is PydanticUndefined or value is None else self.write(value)

    def write(self, value: object) -> str:
        """Return *value* as TOML writes it."""
        return write(value, self.annotation)


def annotation_of(field: FieldInfo) -> Any:
    """Return what the class says *field* holds, with the words that pydantic moved away."""
    words = [item for item in field.metadata if isinstance(item, Words)]
    return Annotated[field.annotation, words[0]] if words else field.annotation


def alternatives(annotation: Any) -> list[Any]:
    """Return the members of a union, or the one type that *annotation* is; never None."""
    if get_origin(annotation) in (Union, UnionType):
        return [one for arg in get_args(annotation) for one in alternatives(arg)]
    return [] if annotation is NoneType else [annotation]


def bare(annotation: Any) -> Any:
    """Return *annotation* without what Annotated adds."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def section_in(annotation: Any) -> type[BaseModel] | None:
    """Return the section that *annotation* is, or is a list or a mapping of; None for a key."""
    for one in map(bare, alternatives(bare(annotation))):
        if isinstance(one, type) and issubclass(one, BaseModel):
            return one
        if inner := _inner(one):
            return section_in(inner)
    return None


def _inner(annotation: Any) -> Any | None:
    """Return what a list or a mapping holds; None where *annotation* is neither."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in LISTS:
        return args[0]
    return args[1] if origin is dict else None


def is_list(annotation: Any) -> bool:
    """Tell whether *annotation* may be a list."""
    return any(get_origin(bare(one)) in LISTS for one in alternatives(bare(annotation)))


def step(annotation: Any, part: str | int) -> Any | None:
    """Return what *part* leads to from *annotation*; None where it leads nowhere."""
    for one in map(bare, alternatives(bare(annotation))):
        if isinstance(one, type) and issubclass(one, BaseModel) and part in one.model_fields:
            return annotation_of(one.model_fields[str(part)])
        if isinstance(part, str) is (get_origin(one) is dict) and (inner := _inner(one)):
            return inner
    return None


def keys(owner: type[BaseModel], place: tuple[str, ...] = (), header: str = "") -> Iterator[Key]:
    """Give every key of *owner*, section by section, in the order they are declared."""
    inner_ones = []
    for name, field in owner.model_fields.items():
        annotation = annotation_of(field)
        if inner := section_in(annotation):
            inner_ones.append((name, annotation, inner))
        else:
            yield Key((*place, name), annotation, field, owner, header)
    for name, annotation, inner in inner_ones:
        path = f"{header.strip('[]')}.{name}".removeprefix(".")
        if is_list(annotation):
            yield from keys(inner, (*place, name, "*"), f"[[{path}]]")
        elif any(get_origin(one) is dict for one in alternatives(bare(annotation))):
            yield from keys(inner, (*place, name, "*"), f"[{path}.NAME]")
        else:
            yield from keys(inner, (*place, name), f"[{path}]")


def values(settings: BaseModel, place: Place = ()) -> Iterator[tuple[Place, str | None]]:
    """Give the place of every key of *settings*, and its value as TOML; None for "not set"."""
    for name, field in type(settings).model_fields.items():
        value, here = getattr(settings, name), (*place, name)
        if section_in(field.annotation) is None:
            yield here, None if value is None else write(value, annotation_of(field))
            continue
        for way, section in _sections(value):
            yield from values(section, (*here, *way))


def _sections(value: Any) -> Iterator[tuple[Place, BaseModel]]:
    if isinstance(value, BaseModel):
        yield (), value
    elif isinstance(value, Mapping):
        yield from (((name,), section) for name, section in value.items())
    else:
        yield from (((index,), section) for index, section in enumerate(value or ()))


def kind(annotation: Any) -> str:
    """Return what *annotation* holds, in words: "text", "list of addresses"."""
    if get_origin(annotation) is Annotated:
        words = [item for item in annotation.__metadata__ if isinstance(item, Words)]
        return words[0].kind if words else kind(bare(annotation))
    return " or ".join(dict.fromkeys(map(_kind_of_one, alternatives(annotation))))


def _kind_of_one(annotation: Any) -> str:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return kind(annotation)
    if words := choices(annotation):
        *most, last = map(_literal, words)
        return f"{', '.join(most)} or {last}" if most else last
    if origin is dict:
        return "section" if section_in(annotation) else f"table of {_plural(kind(args[1]))}"
    if origin in LISTS:
        return f"list of {_plural(kind(args[0]))}"
    if section_in(annotation):
        return "section"
    return _KINDS.get(annotation, "value")


def choices(annotation: Any) -> tuple[Any, ...]:
    """Return the values that *annotation* is a choice of; none where it is no choice."""
    for one in map(bare, alternatives(bare(annotation))):
        if get_origin(one) is Literal:
            return get_args(one)
        if isinstance(one, type) and issubclass(one, Enum):
            return tuple(member.value for member in one)
    return ()


def _plural(words: str) -> str:
    if '"' in words or words == "permissions":
        return words
    return f"{words}es" if words.endswith("s") else f"{words}s"


def _literal(value: object) -> str:
    return quoted(value) if isinstance(value, str) else found(value)


def write(value: object, annotation: Any) -> str:
    """Return *value* as TOML writes it, in the units of *annotation*."""
    for one in [annotation, *alternatives(annotation)]:
        for words in getattr(one, "__metadata__", ()):
            if isinstance(words, Words) and words.write is not None:
                return words.write(value)
    if isinstance(value, LISTS):
        inner = step(annotation, 0) or str
        return "[" + ", ".join(write(item, inner) for item in value) + "]"
    if isinstance(value, Mapping):
        pairs = (f"{quoted(str(name))} = {write(item, str)}" for name, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, bool | int | float):
        return found(value)
    return quoted("***" if isinstance(value, SecretStr) else hide_passwords(str(value)))
