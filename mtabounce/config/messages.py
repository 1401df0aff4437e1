"""Says in plain words what is wrong with a configuration, and how to mend it."""

from datetime import timedelta
from difflib import get_close_matches
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from mtabounce.config.shape import (
    Place,
    alternatives,
    bare,
    choices,
    is_list,
    kind,
    section_in,
    step,
    write,
)
from mtabounce.config.values import found, quoted
from mtabounce.places import PREFIX

_BOUNDS = {
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
}
_LENGTHS = {
    "too_short": "needs at least {min_length} of them",
    "too_long": "takes at most {max_length} of them",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
}


class Complaint(NamedTuple):
    """One thing that is wrong: where, and what."""

    place: Place
    text: str


def explain(error: ErrorDetails, settings: type[BaseModel]) -> Complaint:
    """Put *error*, of pydantic, into words that need no knowledge of pydantic."""
    place, annotation = _known(error["loc"], settings)
    if error["type"] == "extra_forbidden":
        return Complaint(error["loc"], unknown(error["loc"], error["input"], settings))
    label = label_of(place, settings)
    if error["type"] == "missing":
        table, key = place[:-1], place[-1]
        return Complaint(table, f"{label_of(table, settings)}: the key '{key}' is missing")
    if section_in(annotation) and is_list(annotation):
        return Complaint(place, f"{label} is a list of sections; write [{label}]")
    if section_in(annotation) and isinstance(error["input"], list):
        return Complaint(place, f"{label} is one section; write {label}, not [{label}]")
    return Complaint(place, f"{label}: {_fault(error, annotation)}")


def _known(loc: Place, settings: type[BaseModel]) -> tuple[Place, Any]:
    """Cut what pydantic adds to *loc* within unions; return the annotation there, too."""
    annotation: Any = settings
    for length, part in enumerate(loc):
        inner = step(annotation, part)
        if inner is None:
            return loc[:length], annotation
        annotation = inner
    return loc, annotation


def _fault(error: ErrorDetails, annotation: Any) -> str:
    context = error.get("ctx", {})
    if error["type"] in ("value_error", "assertion_error"):
        return str(context["error"])
    if error["type"] in _BOUNDS:
        measured = {name: _measured(value, annotation) for name, value in context.items()}
        said = _measured(error["input"], annotation)
        return f"{_BOUNDS[error['type']].format(**measured)}, found {said}"
    if error["type"] in _LENGTHS:
        return _LENGTHS[error["type"]].format(**context)
    value = "another value" if is_secret(annotation) else found(error["input"])
    wanted = kind(annotation)
    hint = ""
    if error["type"] in ("literal_error", "enum") and isinstance(error["input"], str):
        hint = did_you_mean(error["input"], list(choices(annotation)), quote='"')
    elif is_list(annotation) and isinstance(error["input"], str):
        hint = f"; write [{value}]"
    return f"expected {_with_article(wanted)}, found {value}{hint}"


def _measured(value: object, annotation: Any) -> str:
    """Return a number or a span in the unit of the key."""
    if isinstance(value, str):
        return value  # pydantic words the bounds of spans itself: "2 seconds"
    return write(value, annotation) if isinstance(value, timedelta | int) else found(value)


def _with_article(kind_: str) -> str:
    if '"' in kind_ or kind_.split()[-1] in ("text", "false"):
        return kind_
    return f"an {kind_}" if kind_.startswith("a") else f"a {kind_}"


def is_secret(annotation: Any) -> bool:
    """Tell whether *annotation* is a secret, which no message may show."""
    return any("Secret" in getattr(bare(one), "__name__", "") for one in alternatives(annotation))


def unknown(loc: Place, value: object, settings: type[BaseModel]) -> str:
    """Say that *loc* is not a key that there is, and which one may be meant."""
    table, name = loc[:-1], str(loc[-1])
    section = section_in(_known(table, settings)[1]) or settings
    names = list(section.model_fields)
    if table:
        hint = did_you_mean(name, names) or _elsewhere(name, settings) or _all(names)
        return f"{label_of(table, settings)} has no key {_shown(name)}{hint}"
    if isinstance(value, dict | list):
        hint = did_you_mean(name, names, quote="[]") or f"; there are {_sections(names)}"
        return f"there is no section [{_shown(name, quote='')}]{hint}"
    return f"the key {_shown(name)} stands outside of any section{_elsewhere(name, settings)}"


def _shown(name: str, quote: str = "'") -> str:
    return f"{quote}{name}{quote}" if name.isprintable() else quoted(name)


def did_you_mean(name: str, names: list[str], quote: str = "'") -> str:
    """Return "; did you mean …?" for the one of *names* that is like *name*; "" for none."""
    close = get_close_matches(name.lower().replace("-", "_"), names, n=1)
    return f"; did you mean {quote[0]}{close[0]}{quote[-1]}?" if close else ""


def _elsewhere(name: str, settings: type[BaseModel]) -> str:
    """Return which sections do have a key *name*, as part of a message; "" for none."""
    having = [
        section
        for section, field in settings.model_fields.items()
        if (inner := section_in(field.annotation)) and name in inner.model_fields
    ]
    verb = "has" if len(having) == 1 else "have"
    return f"; {_sections(having)} {verb} it" if having else ""


def _sections(names: list[str]) -> str:
    return _joined([f"[{name}]" for name in names])


def _all(names: list[str]) -> str:
    return f"; it has {_joined(names)}"


def _joined(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def label_of(place: Place, settings: type[BaseModel]) -> str:
    """Return *place* as the user knows it: "[http] listen", "[[log]] path", "[http]"."""
    annotation: Any = settings
    header: list[str] = []
    rest: list[str] = []
    many = False
    for part in place:
        inner = step(annotation, part) if annotation is not None else None
        if section_in(inner) is not None and not rest:
            many = isinstance(part, int)
            header += [] if many else [str(part)]
        else:
            rest.append(f"(item {part + 1})" if isinstance(part, int) else _shown(str(part), ""))
        annotation = inner
    name = ".".join(_shown(part, "") for part in header)
    section = (f"[[{name}]]" if many else f"[{name}]") if header else ""
    return " ".join(filter(None, [section, *rest]))


def unknown_variable(place: Place, section: type[BaseModel] | None) -> str:
    """Say that *section* has nothing called as the last part of *place*, a variable's name."""
    names = list(section.model_fields) if section else []
    close = get_close_matches(str(place[-1]), names, n=1)
    inside = f"[{'.'.join(map(str, place[:-1]))}]" if place[1:] else "the configuration"
    hint = f"; did you mean {_variable((*place[:-1], close[0]))}?" if close else ""
    return f"{inside} has no {'key' if place[1:] else 'section'} '{place[-1]}'{hint}"


def _variable(place: Place) -> str:
    return PREFIX + "__".join(str(part).upper() for part in place)
