"""
The last resort: flufl.bounce, Mailman's detectors of old and odd bounces.

It is asked only about mails that show some mark of a bounce, each of its detectors is fenced
(they raise on one in eight damaged mails), and it sees little of a long mail, since it takes
seconds for a megabyte.
"""

from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message

from flufl.bounce import _scan

from mtabounce.address import is_address
from mtabounce.model import Action, Report
from mtabounce.parsers._mail import Findings, Mail, Parser, findings, outcome_of
from mtabounce.parsers._prose import (
    command_in,
    essence,
    has_failed,
    host_in,
    reason_in,
    said_after,
)

_BYTES_LIMIT = 32 * 1024  # of the mail, that it may look at
# Its DSN detector is ours done less well. LLNL takes any ",x@y," in a letter for a bounce.
_LEFT_OUT = frozenset({"DSN", "LLNL"})
_DETECTORS = [kind for kind in _scan._DETECTORS if kind.__name__ not in _LEFT_OUT]  # noqa: SLF001  it has no public list


def _read(mail: Mail) -> Findings | None:
    if not mail.is_automatic:
        return None
    message = message_from_bytes((mail.head + b"\n\n" + mail.body)[:_BYTES_LIMIT])
    for detector in _DETECTORS:
        temporary, permanent = _asked(detector, message)
        if temporary or permanent:
            return findings(
                [
                    *_reports(mail, temporary, Action.DELAYED),
                    *_reports(mail, permanent, Action.FAILED),
                ]
            )
    return None


def _asked(detector: type, message: Message) -> tuple[set[str], set[str]]:
    try:
        temporary, permanent = detector().process(message)
    except Exception:  # noqa: BLE001  whatever it stumbles over, the next one may know the mail
        return set(), set()
    return set(_addresses(temporary)), set(_addresses(permanent))


def _addresses(found: object) -> Iterator[str]:
    for address in found if isinstance(found, set | frozenset) else ():
        text = address.decode("utf-8", "replace") if isinstance(address, bytes) else str(address)
        if is_address(text.strip()):
            yield text.strip()


def _reports(mail: Mail, addresses: set[str], action: Action) -> Iterator[Report]:
    for address in sorted(addresses):
        said = said_after(mail.text, address)
        said = said if has_failed(said) else essence(mail.prose[0])
        yield Report(
            outcome=outcome_of(action),
            final_recipient=address,
            action=action,
            diagnostic_code=reason_in(said),
            command=command_in(said),
            remote_mta=host_in(said),
            **mail.original,
        )


PARSER = Parser(rank=90, read=_read)
