"""The fields of a delivery status (RFC 3464) as its many writers really write them."""

import re
from collections.abc import Iterator

from mtabounce.address import LENGTH_LIMIT, is_address, is_local_part, parse
from mtabounce.mime import VALUE_LIMIT
from mtabounce.model import Action

Fields = dict[str, str]  # by name in lower case; the first of a name counts

_NAME = r"[A-Za-z][A-Za-z0-9-]{1,60}[ \t]*:(?!//)"
_FIELD = re.compile(
    rf"^([A-Za-z][A-Za-z0-9-]{{1,60}})[ \t]*:(?!//)(.*(?:\n(?!{_NAME}).*)*)", re.MULTILINE
)
_BLANK = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
_SCHEME = re.compile(r"^(?:mailto|smtp):", re.IGNORECASE)  # the latter is old Exchange's
_TYPE = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9_/-]{0,39})\s*;\s*")
_COMMENT = re.compile(r"\([^()]*\)")
_UNICODE = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_OF_RECIPIENT = frozenset(
    {"final-recipient", "original-recipient", "x-actual-recipient", "action", "diagnostic-code"}
)
_WRITTEN = frozenset(Action)  # as RFC 3464 §2.3.3 has them, and nearly all write them
_ACTIONS = {
    "fail": Action.FAILED,
    "error": Action.FAILED,
    "reject": Action.FAILED,
    "bounce": Action.FAILED,
    "expired": Action.FAILED,
    "undeliver": Action.FAILED,
    "delay": Action.DELAYED,
    "defer": Action.DELAYED,
    "deliver": Action.DELIVERED,
    "success": Action.DELIVERED,
    "relay": Action.RELAYED,
    "expand": Action.EXPANDED,
}


def read_groups(text: str) -> tuple[Fields, list[Fields]]:
    """Return the fields on the message, and those on each recipient."""
    message: Fields = {}
    recipients: list[Fields] = []
    for group in _BLANK.split(text.strip()):
        for fields in _cut(_fields(group)):
            if not _OF_RECIPIENT.isdisjoint(fields):
                _add_recipient(recipients, fields)
            else:
                _fill(recipients[-1] if recipients and "status" in fields else message, fields)
    if recipients:
        _fill(message, recipients[0])  # where no blank line parts the two
    return message, recipients


def _add_recipient(recipients: list[Fields], fields: Fields) -> None:
    """Append *fields*, or join them to what a stray blank line cut them from."""
    has_name = "final-recipient" in fields or "original-recipient" in fields
    if recipients and not (has_name and _is_named(recipients[-1])):
        last = recipients[-1]
        if not has_name or fields.keys().isdisjoint(last):
            _fill(last, fields)
            return
    recipients.append(fields)


def _is_named(fields: Fields) -> bool:
    return "final-recipient" in fields or "original-recipient" in fields


def _fill(into: Fields, fields: Fields) -> None:
    for name, value in fields.items():
        into.setdefault(name, value)


def _fields(group: str) -> Iterator[tuple[str, str]]:
    """Yield name and unfolded value; lines that are no field go on with the one before."""
    for name, value in _FIELD.findall(group):
        value = value[:VALUE_LIMIT]
        if "\n" in value:
            value = " ".join(map(str.strip, value.split("\n")))
        yield name.lower(), value.strip()


def _cut(fields: Iterator[tuple[str, str]]) -> Iterator[Fields]:
    """Part a group in which a recipient field comes again: no blank line was written."""
    current: Fields = {}
    for name, value in fields:
        if name == "final-recipient" and name in current:
            yield current
            current = {}
        current.setdefault(name, value)
    if current:
        yield current


def without_type(value: str) -> str:
    """Return *value* without its leading "rfc822;", "dns;", "smtp;", whatever it is."""
    found = _TYPE.match(value)
    return value[found.end() :].strip() if found else value.strip()


def without_comments(value: str) -> str:
    """Return *value* without what stands in parentheses."""
    return _COMMENT.sub(" ", value).strip() if "(" in value else value.strip()


def recipient_of(value: str) -> str:
    """Return the address in a recipient field; "" for none. It may lack a domain."""
    address = _SCHEME.sub("", without_type(value))
    if "\\x{" in address:  # RFC 6533 §3
        address = _UNICODE.sub(_character, address)
    if found := parse(address) or parse(without_comments(address)):
        return found
    if found := parse(address.partition(" ")[0]):  # words that belong elsewhere come after it
        return found
    if value.lstrip()[:4].lower() == "x400":  # RFC 3464 §2.1.2: no mailbox of ours
        return ""
    bare = without_comments(address).strip("<>' ")
    return bare if is_address(bare) or is_local_part(bare) or _is_odd(bare) else ""


def _is_odd(text: str) -> bool:
    """Whether *text* may name a recipient, though no address: "|/bin/prog@host", "a@#host"."""
    return text.count("@") == 1 and len(text) <= LENGTH_LIMIT and text.isprintable()


def _character(found: re.Match[str]) -> str:
    number = int(found[1], 16)
    is_character = number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF
    return chr(number) if is_character and number > 0x20 else ""


def action_of(value: str) -> Action | None:
    """Return the action that a field says, comments and odd endings aside; None for none."""
    word = without_comments(value).lower()
    if word in _WRITTEN:
        return Action(word)
    return next((action for start, action in _ACTIONS.items() if word.startswith(start)), None)


def host_of(value: str) -> str:
    """Return the name in an MTA field."""
    name = without_comments(without_type(value))
    if " [" in name:
        name = name.partition(" [")[0]
    return "" if name.lower() in ("unknown", "undefined", "n/a") else name
