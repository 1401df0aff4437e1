"""A rule, and the files that rules come from. What is wrong in a file is one clear line."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mtabounce.classify.evidence import Evidence
from mtabounce.classify.operators import Operators
from mtabounce.classify.pattern import Pattern, alternatives_of
from mtabounce.errors import ConfigError
from mtabounce.model import Outcome
from mtabounce.reasons import Reason, did_you_mean

NOT_RULES = frozenset({"reasons.toml", "operators.toml"})

Example = str | dict[str, Any]  # a reply, or the fields of a report


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """
    One rule. Every condition that it has must hold; among the values of one, any.

    Texts are matched in any case of letters, after the lines of a reply were joined.
    """

    id: str
    reason: str
    source: str = ""  # where the words or codes are written down
    outcome: Outcome = Outcome.BOUNCE
    status: tuple[str, ...] = ()  # effective status; a prefix ends in a dot: "5.1."
    reply_code: tuple[int, ...] = ()
    text: tuple[Pattern, ...] = ()  # the alternatives of all patterns
    command: tuple[str, ...] = ()  # "RCPT TO", "DATA", …
    operator: tuple[str, ...] = ()  # names of operators.toml
    action: tuple[str, ...] = ()  # RFC 3464 §2.3.3
    feedback_type: tuple[str, ...] = ()  # RFC 5965 §3.1
    match: tuple[Example, ...] = ()
    no_match: tuple[Example, ...] = ()
    file: str = ""
    own: bool = False  # of the user's own folder

    def fits(self, evidence: Evidence, operators: Operators) -> bool:
        """Tell whether all conditions but the text hold."""
        return (
            self.outcome is evidence.outcome
            and self.fits_codes(evidence.status_text, evidence.reply_code)
            and self.fits_event(evidence)
            and (not self.operator or operators.of(evidence.host) in self.operator)
        )

    def fits_event(self, evidence: Evidence) -> bool:
        """Tell whether the conditions on what was answered, done and complained of hold."""
        return (
            (not self.command or evidence.command in self.command)
            and (not self.action or evidence.action in self.action)
            and (not self.feedback_type or evidence.feedback_type in self.feedback_type)
        )

    def fits_codes(self, status: str, reply_code: int | None) -> bool:
        """Tell whether the conditions on the codes hold; *status* is "" where there is none."""
        return (not self.status or _has_status(self.status, status)) and (
            not self.reply_code or reply_code in self.reply_code
        )

    def conditions(self) -> dict[str, str]:
        """Return the rule's conditions for people to read, by key."""
        found = {}
        for key in _LISTS:
            values = getattr(self, key)
            if values:
                found[key] = " | ".join(
                    v.source if isinstance(v, Pattern) else str(v) for v in values
                )
        return found if self.outcome is Outcome.BOUNCE else {"outcome": str(self.outcome)} | found


_LISTS = ("status", "reply_code", "text", "command", "operator", "action", "feedback_type")
_KEYS = {each.name: each for each in fields(Rule) if each.name not in ("file", "own")}
_DEFAULTS = {"source": None, "operator": None}


@dataclass(frozen=True, slots=True)
class RuleFile:
    """A file of rules, read but not yet checked."""

    path: Path
    reasons: Mapping[str, Reason]
    operators: Mapping[str, object]
    own: bool  # the user's: its patterns are compiled now, ours were in the tests

    def rules(self) -> Iterator[Rule]:
        """Yield the rules in order. Raises ConfigError where the file is not right."""
        source = self._source()
        table = self._table(source)
        lines = _lines_of_rules(source)
        if unknown := [key for key in table if key not in {*_DEFAULTS, "rule"}]:
            hint = did_you_mean(unknown[0], {**_DEFAULTS, "rule": None})
            raise ConfigError(f"{self.path}: unknown key '{unknown[0]}'{hint}")
        defaults = {key: table[key] for key in _DEFAULTS if key in table}
        for row, line in zip(table.get("rule", ()), lines, strict=False):
            yield self._rule(defaults | row, f"{self.path}:{line}")

    def _source(self) -> str:
        try:
            return self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{self.path}: cannot be read: {error}") from error

    def _table(self, source: str) -> dict[str, Any]:
        try:
            return tomllib.loads(source)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{self.path}: {error}") from error

    def _rule(self, row: Mapping[str, Any], place: str) -> Rule:
        place = f"{place}: rule '{row.get('id', '?')}'"
        for key in row:
            if key not in _KEYS:
                raise ConfigError(f"{place}: unknown key '{key}'{did_you_mean(key, _KEYS)}")
        for key in ("id", "reason"):
            if not isinstance(row.get(key), str):
                raise ConfigError(f"{place}: '{key}' must be given, as a string")
        values = {key: _values(key, row[key], place) for key in row}
        _known("reason", [row["reason"]], self.reasons, place)
        _known("operator", values.get("operator", ()), self.operators, place)
        if self.own:
            _check(values.get("text", ()), place)
        return Rule(**values, file=self.path.name, own=self.own)


def rule_files(folder: Path) -> list[Path]:
    """Return the files of rules in *folder*, in the order in which they are tried."""
    return sorted(path for path in folder.glob("*.toml") if path.name not in NOT_RULES)


def _values(key: str, value: Any, place: str) -> Any:
    """Return *value* as the field *key* of a Rule has it."""
    if key in ("id", "reason", "source"):
        return _checked(key, value, str, place)
    if key == "outcome":
        known = {str(each): each for each in Outcome}
        if value not in known:
            raise ConfigError(f"{place}: outcome: must be one of {', '.join(known)}")
        return known[value]
    values = value if isinstance(value, list) else [value]
    if key in ("match", "no_match"):
        return tuple(_checked(key, each, (str, dict), place) for each in values)
    if key == "reply_code":
        return tuple(_checked(key, each, int, place) for each in values)
    texts = [_checked(key, each, str, place) for each in values]
    if key != "text":
        return tuple(texts)
    return tuple(Pattern(part) for text in texts for part in alternatives_of(text))


def _checked(key: str, value: Any, kind: type | tuple[type, ...], place: str) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ConfigError(f"{place}: {key}: {value!r} has the wrong type")
    return value


def _known(key: str, names: Iterable[str], known: Mapping[str, object], place: str) -> None:
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known)
            raise ConfigError(f"{place}: {key}: there is no {key} '{name}'{hint}")


def _check(patterns: Iterable[Pattern], place: str) -> None:
    for pattern in patterns:
        try:
            pattern.check()
        except ValueError as error:
            message = f"{place}: text: '{pattern.source}' is no pattern: {error}"
            raise ConfigError(message) from error


def _has_status(wanted: tuple[str, ...], status: str) -> bool:
    return any(status.startswith(one) if one.endswith(".") else status == one for one in wanted)


def _lines_of_rules(source: str) -> list[int]:
    """Return the line on which each [[rule]] starts, from 1."""
    lines = source.splitlines()
    return [number for number, line in enumerate(lines, 1) if line.strip() == "[[rule]]"]
