"""
The last resort: flufl.bounce, Mailman's detectors of old and odd bounces.

It is asked only about mails that show some mark of a bounce, each of its detectors is fenced
(they raise on one in eight damaged mails), and it sees little of a long mail, since it takes
seconds for a megabyte.
"""

import re
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message

from flufl.bounce import _scan

from mtabounce.address import is_address
from mtabounce.model import Action, Report
from mtabounce.parsers._mail import Findings, Mail, Parser, findings, outcome_of
from mtabounce.parsers._prose import command_in, explanation, has_failed, host_in, is_delay
from mtabounce.parsers._words import Words

_NESTING_LIMIT = 50  # mails inside each other; the standard library takes them recursively
# What it may see of a mail: its patterns are quadratic in a line's length.
_LINE_LIMIT = 500  # bytes
_LINES_LIMIT = 500
_LEFT_OUT = frozenset({"DSN"})  # ours does more
_DETECTORS = [kind for kind in _scan._DETECTORS if kind.__name__ not in _LEFT_OUT]  # noqa: SLF001  it has no public list

_MIME = re.compile(rb"(?im)^(?:mime-version|content-[a-z-]+):[^\n]*\n?(?:[ \t]+[^\n]*\n?)*")

# Those that look for a start line, pattern by pattern, line by line, are dear: 0.7 ms for a
# letter. So the longest text without which a pattern cannot match is looked for first.
_OPTIONAL = re.compile(r"\([^()]*\)|\\?.[?*]")
_SYNTAX = re.compile(r"\\.|[\^$.|?*+()\[\]{}]")


def _literal(pattern: re.Pattern[str]) -> str:
    """Return the longest text that every match of *pattern* holds, in lower case."""
    return max(_SYNTAX.split(_OPTIONAL.sub("|", pattern.pattern)), key=len).lower()


_STARTS = {
    kind: Words(*(_literal(starts) for starts, _, _ in kind.PATTERNS))
    for kind in _DETECTORS
    if hasattr(kind, "PATTERNS")
}


def _read(mail: Mail) -> Findings | None:
    if not mail.is_automatic or mail.body.count(b"message/rfc822") > _NESTING_LIMIT:
        return None
    shown = [mail.head + b"\n\n" + mail.body]
    plain = mail.text.strip().encode("utf-8", "replace")
    if plain not in mail.body:  # it decodes nothing
        shown.append(_MIME.sub(b"", mail.head) + b"\n\n" + plain + b"\n")
    return next(filter(None, (_detected(mail, content) for content in shown)), None)


def _detected(mail: Mail, content: bytes) -> Findings | None:
    seen = b"\n".join(line[:_LINE_LIMIT] for line in _lines(content))
    message, text = message_from_bytes(seen), seen.decode("latin-1")
    for detector in _detectors(text):
        temporary, permanent = (_told(mail, found) for found in _asked(detector, message))
        if temporary or permanent:
            return findings(
                [
                    *_reports(mail, temporary, _action(mail)),
                    *_reports(mail, permanent, Action.FAILED),
                ]
            )
    return None


def _action(mail: Mail) -> Action:
    """Return what a detector means that says "temporary": some say so of every warning."""
    text = f"{mail.subject}\n{mail.prose[0]}"
    return Action.FAILED if has_failed(text) and not is_delay(text) else Action.DELAYED


def _detectors(text: str) -> Iterator[type]:
    """Yield the detectors that may know a mail with *text*."""
    for detector in _DETECTORS:
        if detector.__name__ == "LLNL":  # it takes any ",x@y," in a letter for a bounce
            if "llnl.gov" in text:
                yield detector
        elif detector not in _STARTS or _STARTS[detector].occurs_in(text):
            yield detector


def _lines(content: bytes) -> list[bytes]:
    return content.split(b"\n", _LINES_LIMIT)[:_LINES_LIMIT]


def _told(mail: Mail, addresses: set[str]) -> set[str]:
    """Leave out what stands in the returned mail only, if the notice itself names somebody."""
    notice = mail.prose[0].lower()
    return {address for address in addresses if address.lower() in notice} or addresses


def _asked(detector: type, message: Message) -> tuple[set[str], set[str]]:
    try:
        temporary, permanent = detector().process(message)
    except Exception:  # noqa: BLE001  whatever it stumbles over, the next one may know the mail
        return set(), set()
    return set(_addresses(temporary)), set(_addresses(permanent))


def _addresses(found: object) -> Iterator[str]:
    for address in found if isinstance(found, set | frozenset) else ():
        text = address.decode("utf-8", "replace") if isinstance(address, bytes) else str(address)
        if is_address(name := text.strip(" \t\r\n'\"")):
            yield name


def _reports(mail: Mail, addresses: set[str], action: Action) -> Iterator[Report]:
    for address in sorted(addresses):
        said = explanation(mail.prose[0], address)
        yield Report(
            outcome=outcome_of(action),
            final_recipient=address,
            action=action,
            diagnostic_code=said,
            command=command_in(said),
            remote_mta=host_in(said),
            **mail.original,
        )


PARSER = Parser(rank=85, read=_read)
