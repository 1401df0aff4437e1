"""A provider's table: where its events say what, and what its words mean."""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from fnmatch import translate
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import jmespath
import re2
from jmespath.exceptions import JMESPathError
from jmespath.parser import ParsedResult

from mtabounce.errors import ConfigError
from mtabounce.model import Outcome

WORDS = {  # what an event can be, other than a failure with a reason
    "delayed": Outcome.DELAYED,
    "complaint": Outcome.COMPLAINT,
    "unsubscribe": Outcome.UNSUBSCRIBE,
    "suppressed": Outcome.SUPPRESSED,
    "auto_reply": Outcome.AUTO_REPLY,
    "challenge": Outcome.CHALLENGE,
    "delivered": Outcome.DELIVERED,
}
HINTS = {"hard": "user_unknown", "soft": "undetermined", "block": "policy_rejected"}
IGNORE = "ignore"  # not about delivery: opens, clicks
FAILED = "failed"  # our own mistake: the mail was never sent
EVENTS = (*WORDS, *HINTS, IGNORE, FAILED)  # what an event can be, beside a reason
_LISTS = ("key", "meta")
_PATHS = (
    "items", "recipients", "recipient", "message_id", "original_message_id", "event_id", "at",
    "reply", "reply_code", "status", "remote_mta", "reporting_mta", "command", "campaign",
    "subscriber", "subject", "feedback_type", "source", "attached",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """
    One provider, as its file describes it. All paths are JMESPath.

    They are asked of one event, beside which stand ``_body`` (the whole document), ``_headers``
    (lower-case names) and ``_recipient`` (the one of ``recipients`` that is looked at).
    """

    name: str = ""
    title: str = ""
    docs: str = ""  # where the provider describes it
    console: str = ""  # what to click there
    body: str = "auto"  # how it is packed: auto, sns, or form:FIELD
    items: str = "@"  # the events: a list, or one
    key: tuple[str, ...] = ()  # joined by "/", says what kind of event it is
    events: tuple[tuple[str, str], ...] = ()  # pattern of the key, what it is; first match
    recipients: str = "`null`"  # where an event is about several; null: about one
    single: bool = False  # it names all recipients of the mail: believe it where it is one
    recipient: str = "recipient"
    message_id: str = "`null`"  # the provider's own id of the mail
    original_message_id: str = "`null`"  # its Message-ID
    event_id: str = "`null`"
    at: str = "`null`"
    reply: str = "`null`"
    reply_in: str = ""  # what of it the server said: the first group of a pattern, as RE2 has them
    reply_code: str = "`null`"
    status: str = "`null`"
    remote_mta: str = "`null`"
    reporting_mta: str = "`null`"
    command: str = "`null`"
    campaign: str = "`null`"
    subscriber: str = "`null`"
    subject: str = "`null`"
    feedback_type: str = "`null`"
    source: str = "`null`"
    attached: str = "`null`"  # any JSON of the poster's, kept as it is
    meta: tuple[str, ...] = ()  # where what the sender attached to the mail may be
    sample: str = ""  # a bounce; $recipient, $id, $unix (seconds) and $iso are filled in
    auth: Mapping[str, Any] = field(default_factory=dict)  # how a request proves itself


class Provider:
    """A table with its expressions compiled."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.name = table.name
        self.title = table.title or table.name

    @cached_property
    def paths(self) -> dict[str, ParsedResult]:
        """The compiled expressions, by field. Raises ConfigError where one is none."""
        return {name: self._compiled(name, getattr(self.table, name)) for name in _PATHS}

    @cached_property
    def key(self) -> list[ParsedResult]:
        """The compiled parts of the key."""
        return [self._compiled("key", part) for part in self.table.key]

    @cached_property
    def meta(self) -> list[ParsedResult]:
        """The compiled places of what the sender attached."""
        return [self._compiled("meta", part) for part in self.table.meta]

    @cached_property
    def reply_in(self) -> Any:
        """The compiled pattern; None where the reply stands alone. Raises ConfigError likewise."""
        pattern = self.table.reply_in
        try:
            found = re2.compile(f"(?s){pattern}") if pattern else None
        except re2.error as error:
            said = error.args[0]
            text = said.decode(errors="replace") if isinstance(said, bytes) else said
            raise ConfigError(f"provider '{self.name}': reply_in: {text}") from None
        if found is not None and found.groups != 1:
            raise ConfigError(f"provider '{self.name}': reply_in must have one group, in ( )")
        return found

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], str]]:
        events = self.table.events
        return [(re.compile(translate(pattern.lower())), word) for pattern, word in events]

    @cached_property
    def _meanings(self) -> Any:
        return lru_cache(1024)(self._find_meaning)

    def meaning(self, key: str) -> str | None:
        """Return what an event with *key* is; None where the table does not know it."""
        word: str | None = self._meanings(key[:500].lower())
        return word

    def _find_meaning(self, key: str) -> str | None:
        return next((word for pattern, word in self._patterns if pattern.match(key)), None)

    def _compiled(self, name: str, expression: str) -> ParsedResult:
        try:
            return jmespath.compile(expression)
        except JMESPathError as error:
            said = str(error).splitlines()[0]
            raise ConfigError(f"provider '{self.name}': {name}: {said}") from None

    def __reduce__(self) -> tuple[type["Provider"], tuple[Table]]:
        return Provider, (self.table,)


def read_table(path: Path) -> Table:
    """Return the table in the file *path*."""
    return table_of(path.stem, tomllib.loads(path.read_text(encoding="utf-8")))


def table_of(name: str, row: Mapping[str, Any], base: Table | None = None) -> Table:
    """
    Return the table that *row* describes; what it leaves out is as in *base*.

    Raises ConfigError where it has a key that tables do not have, or a value of another kind.
    """
    known = {each.name for each in fields(Table)}
    if unknown := sorted(set(row) - known):
        raise ConfigError(f"provider '{name}': there is no key '{unknown[0]}'")
    values = {key: _frozen(name, key, value) for key, value in row.items()}
    inherited = {key: getattr(base, key) for key in known} if base else {}
    return Table(**inherited | values | {"name": base.name if base else name})


def _frozen(name: str, key: str, value: Any) -> Any:
    """Return *value* as a table keeps it. Raises ConfigError where it is of another kind."""
    wanted = _KINDS.get(key, "a text")
    if key in _LISTS and isinstance(value, str):
        value = [value]
    if not _IS[wanted](value):
        raise ConfigError(f"provider '{name}': {key} must be {wanted}, not {value!r}")
    if key == "events":
        return tuple((pattern, word) for pattern, word in value)
    return tuple(value) if key in _LISTS else value


def _is_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)


_KINDS = {
    "key": "a list of texts", "meta": "a list of texts", "single": "true or false",
    "events": "a list of pairs [pattern, word]", "auth": "a table",
}  # fmt: skip
_IS: Mapping[str, Callable[[Any], bool]] = {
    "a text": lambda value: isinstance(value, str),
    "a list of texts": _is_texts,
    "true or false": lambda value: isinstance(value, bool),
    "a table": lambda value: isinstance(value, Mapping),
    "a list of pairs [pattern, word]": lambda value: (
        isinstance(value, list | tuple) and all(_is_texts(one) and len(one) == 2 for one in value)
    ),
}
