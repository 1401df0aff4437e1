"""What a provider's table may say of how its requests prove themselves."""

import re
from collections.abc import Callable, Mapping, Sequence

import jmespath
from jmespath.exceptions import JMESPathError

from mtabounce.config.values import parse_duration
from mtabounce.errors import ConfigError
from mtabounce.web.signatures import Table, kind_of

_FLAGS = {"once", "fields"}
_WORDS: Mapping[str, Sequence[str]] = {
    "digest": ("sha1", "sha256", "sha384", "sha512"),
    "encoding": ("hex", "base64"),
}
_NAMES = {"body": "", "ts": "timestamp", "id": "id", "event": "event", "token": "token"}


def check_table(table: Table) -> str:
    """Return what is wrong with how a table says that a request proves itself; "" if nothing."""
    return next((wrong for check in _CHECKS if (wrong := check(table))), "")


def _kind(table: Table) -> str:
    try:
        needs = kind_of(table).needs
    except ConfigError as error:
        return str(error)
    given = set(table) | ({"signature"} if "header" in table else set())
    missing = sorted(needs - given)
    return f"auth: kind '{table['kind']}' needs '{missing[0]}'" if missing else ""


def _types(table: Table) -> str:
    for key, value in table.items():
        wanted, shown = (bool, "true or false") if key in _FLAGS else (str, "a text")
        if not isinstance(value, wanted):
            return f"auth: {key} must be {shown}, not {value!r}"
    return ""


def _words(table: Table) -> str:
    for key, known in _WORDS.items():
        if key in table and table[key] not in known:
            return f"auth: there is no {key} '{table[key]}'; there are {', '.join(known)}"
    return ""


def _tolerance(table: Table) -> str:
    try:
        parse_duration(table.get("tolerance", "5m"))
    except ValueError as error:
        return f"auth: tolerance: {error}"
    return ""


def _over(table: Table) -> str:
    """Say where a signature would be good for more than what it was made for."""
    if "over" not in table:
        return ""
    names = re.findall(r"\{(\w+)\}", table["over"])
    if unknown := [name for name in names if name not in _NAMES]:
        known = ", ".join(f"{{{name}}}" for name in _NAMES)
        return f"auth: over has no {{{unknown[0]}}}; it may have {known}"
    needed = [key for name in names if (key := _NAMES[name]) and key not in table]
    if needed and not ("fields" in table and needed == ["timestamp"]):
        return f"auth: over needs '{needed[0]}', where to find it"
    if "body" not in names and not table.get("once"):
        return "auth: over leaves out {body}, so that any body would do; once = true forbids that"
    return ""


def _expressions(table: Table) -> str:
    """Say where an expression is none; without a header they are asked of the body."""
    if table.get("kind") != "hmac" or "header" in table:
        return ""
    for key in ("signature", "timestamp", "token"):
        try:
            jmespath.compile(table.get(key, "@"))
        except JMESPathError as error:
            return f"auth: {key}: {str(error).splitlines()[0]}"
    return ""


_CHECKS: Sequence[Callable[[Table], str]] = (
    _types, _kind, _words, _tolerance, _over, _expressions,
)  # fmt: skip
