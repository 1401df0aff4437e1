"""
Reads one TOML file and the environment into the settings classes that live beside their users.

Knows no section. What is wrong is said in one line each: where, what, and how to mend it.
"""

import json
import os
import re
import tomllib
from ast import literal_eval
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from mtabounce.config.environment import settings_in
from mtabounce.config.lines import lines_of
from mtabounce.config.messages import Complaint, explain
from mtabounce.config.shape import Place, alternatives, bare, step
from mtabounce.config.values import (
    Duration,
    ListenAddress,
    SecretFile,
    Section,
    Size,
    hide_passwords,
    printable,
)
from mtabounce.errors import ConfigError
from mtabounce.places import PREFIX

__all__ = [
    "Duration",
    "ListenAddress",
    "Loaded",
    "SecretFile",
    "Section",
    "Size",
    "hide_passwords",
    "load",
]

S = TypeVar("S", bound=BaseModel)
DEFAULT = "default"
_SYNTAX = re.compile(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", re.DOTALL)
_TWICE = re.compile(r"Cannot declare (\(.*\)) twice")
_MENDS = {
    "Invalid value": 'there is no value, or it is text without "quotes"',
    "Expected newline or end of document after a statement": (
        'more follows after the value; text stands in "quotes"'
    ),
    "Illegal character '\\n'": "a text is not closed by a quote",
    "Cannot overwrite a value": "this key stands twice",
    "Invalid statement": "neither a [section], nor key = value, nor a # comment",
}


@dataclass(frozen=True, slots=True)
class Loaded(Generic[S]):
    """Settings, and where each of them was said."""

    settings: S
    path: Path | None  # None: there is no file
    origins: Mapping[Place, str]  # "FILE:LINE", or the name of a variable

    def origin(self, place: Place) -> str:
        """Return where *place* was said: "FILE:LINE", a variable, or "default"."""
        found = _origin(self.origins, place)
        # What stands in a section's header, or in a part of the path, says nothing of a key,
        # but a variable may hold a whole section.
        whole = place in self.origins or (found or "").startswith(PREFIX)
        return found if found and whole else DEFAULT


def _origin(origins: Mapping[Place, str], place: Place) -> str | None:
    """Return where *place*, or else the smallest thing that it is a part of, was said."""
    ways = (place[:length] for length in range(len(place), 0, -1))
    return next((origins[way] for way in ways if way in origins), None)


def load(
    settings: type[S], path: Path | None, environ: Mapping[str, str] = os.environ
) -> Loaded[S]:
    """
    Read *settings* from the file *path* (None: none) and the environment, which wins.

    Raises ConfigError, with a line for each thing that is wrong.
    """
    try:
        data, origins = _read(path, settings, environ)
        wrong = _add_environment(data, origins, settings, environ)
        text = json.dumps(data, default=str)
    except RecursionError:
        raise ConfigError(f"{path}: lists or sections are nested too deeply") from None
    except ValueError:  # of json, on an integer of more digits than Python writes
        raise ConfigError(f"{path}: holds a number that is too large") from None
    try:
        # Strict, as JSON: "4" is no number, but text may be a path or a word of a choice.
        loaded = settings.model_validate_json(text, strict=True, context=environ)
    except ValidationError as error:
        complaints = (explain(one, settings) for one in error.errors())
        wrong += [_located(complaint, origins, path) for complaint in complaints]
        raise ConfigError(_report(wrong)) from None
    if wrong:
        raise ConfigError(_report(wrong))
    return Loaded(loaded, path, origins)


def _read(
    path: Path | None, settings: type[BaseModel], environ: Mapping[str, str]
) -> tuple[dict[str, Any], dict[Place, str]]:
    """Return what the file says, paths resolved, and the line that says it."""
    if path is None:
        return {}, {}
    text = _text(path)
    try:
        table = tomllib.loads(text)
    except ValueError as error:
        raise ConfigError(f"{path}:{_syntax(error, text)}") from None
    data = _resolved(table, settings, path.absolute().parent, environ)
    return data, {place: f"{path}:{line}" for place, line in lines_of(text).items()}


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        mend = f"write one with: mtabounce config init {path}"
        raise ConfigError(f"{path}: there is no such file; {mend}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: is not UTF-8 text") from None


def _syntax(error: ValueError, text: str) -> str:
    found = _SYNTAX.fullmatch(str(error))
    if found is None:  # a number too long for int(), whose place is not told
        return f" not valid TOML: {str(error).splitlines()[0]}"
    line = found[2] or text.rstrip("\n").count("\n") + 1
    what = _MENDS.get(found[1]) or found[1][:1].lower() + found[1][1:]
    if twice := _TWICE.fullmatch(found[1]):
        what = _stands_twice(f"[{'.'.join(literal_eval(twice[1]))}]", text, int(line))
    return f"{line}: not valid TOML: {what}"


def _stands_twice(section: str, text: str, again: int) -> str:
    lines = [re.sub(r"\s|#.*", "", line) for line in text.splitlines()[: again - 1]]
    mend = f": move its keys to line {lines.index(section) + 1}" if section in lines else ""
    return f"{section} stands twice{mend}"


def _resolved(value: Any, annotation: Any, folder: Path, environ: Mapping[str, str]) -> Any:
    """Return *value* with the paths in it resolved against *folder*."""
    if isinstance(value, dict):
        return {
            name: _resolved(item, step(annotation, name), folder, environ)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_resolved(item, step(annotation, 0), folder, environ) for item in value]
    kinds = {bare(one) for one in alternatives(bare(annotation))}
    if isinstance(value, str) and value and kinds & {Path, SecretFile}:
        credentials = environ.get("CREDENTIALS_DIRECTORY", "")
        expanded = re.sub(
            r"^\$(\{CREDENTIALS_DIRECTORY\}|CREDENTIALS_DIRECTORY)(?=/)",
            lambda _: credentials,
            value,
        )
        return str(folder / os.path.expanduser(expanded))  # noqa: PTH111 (Path's raises for an unknown user)
    return value


def _add_environment(
    data: dict[str, Any],
    origins: dict[Place, str],
    settings: type[BaseModel],
    environ: Mapping[str, str],
) -> list[str]:
    """Put what *environ* sets into *data*; return what is wrong with it."""
    wrong = []
    for setting in settings_in(environ, settings):
        if setting.complaint:
            wrong.append(f"{setting.variable}: {setting.complaint}")
            continue
        value = _resolved(setting.value, _at(setting.place, settings), Path(), environ)
        try:
            _put(data, setting.place, value)
        except IndexError:
            wrong.append(f"{setting.variable}: the one before it is not set; the first is 0")
            continue
        _forget(origins, setting.place)
        origins[setting.place] = setting.variable
    return wrong


def _put(data: Any, place: Place, value: Any) -> None:
    """Set *place* in *data*. Raises IndexError where it leaves out an item of a list."""
    part, *rest = place
    if not isinstance(data, list if isinstance(part, int) else dict):
        return  # the file has something else there, which is refused anyway
    if part == len(data) and isinstance(data, list):
        data.append(None)
    if not rest:
        data[part] = value
        return
    inner = data.get(part) if isinstance(data, dict) else data[part]
    if inner is None:
        inner = data[part] = [] if isinstance(rest[0], int) else {}
    _put(inner, tuple(rest), value)


def _at(place: Place, annotation: Any) -> Any:
    for part in place:
        annotation = step(annotation, part)
    return annotation


def _forget(origins: dict[Place, str], place: Place) -> None:
    for known in [known for known in origins if _is_within(known, place)]:
        del origins[known]


def _located(complaint: Complaint, origins: Mapping[Place, str], path: Path | None) -> str:
    inside = (origin for at, origin in origins.items() if _is_within(at, complaint.place))
    where = _origin(origins, complaint.place) or next(inside, None) or path
    return f"{where}: {complaint.text}"


def _is_within(place: Place, section: Place) -> bool:
    return place[: len(section)] == section


def _report(wrong: list[str]) -> str:
    """Return the lines of *wrong*, by file and line, each once."""
    return "\n".join(map(printable, sorted(dict.fromkeys(wrong), key=_by_line)))


def _by_line(text: str) -> tuple[str, int]:
    found = re.match(r"(.*?):(\d+): ", text)
    return (found[1], int(found[2])) if found else ("", 0)
