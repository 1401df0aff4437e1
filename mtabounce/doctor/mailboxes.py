"""The mailboxes let us in, are looked into, and have secrets that may be read."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import partial

from psycopg import Connection

from mtabounce import assembly
from mtabounce.doctor._check import Check, Finding, Level, Patient
from mtabounce.errors import ConfigError
from mtabounce.sources.mailboxes import MailboxSettings, Protocol, secret_in
from mtabounce.store.mailboxes import Standing, standing_sync

_TITLE = "mailboxes"
_LATE = 3  # intervals without a look: nobody polls it


def _run(patient: Patient) -> Iterator[Finding]:
    mailboxes = assembly.mailboxes(patient.given())
    if not mailboxes:
        yield Finding(_TITLE, Level.OK, "no mailbox is polled")
        return
    for _, mailbox in mailboxes:
        yield from _secrets(mailbox)
    yield from patient.ask(partial(_all, mailboxes)) or ()


def _secrets(mailbox: MailboxSettings) -> Iterator[Finding]:
    for path in mailbox.secret_files():
        try:
            secret_in(path)
        except ConfigError as error:
            yield Finding(_TITLE, Level.FAIL, f"{mailbox.title}: {error}")


def _all(mailboxes: Iterable[tuple[Protocol, MailboxSettings]], conn: Connection) -> list[Finding]:
    return [_of(conn, mailbox, protocol.key(mailbox)) for protocol, mailbox in mailboxes]


def _of(conn: Connection, mailbox: MailboxSettings, key: str) -> Finding:
    found = standing_sync(conn, key)
    name = mailbox.title
    if found.trouble:
        mend = f"then: mtabounce poll {name}" if found.refused_at else ""
        return Finding(_TITLE, Level.FAIL, f"{name}: {found.trouble}{_times(found)}", mend)
    if found.polled_at is None:
        mend = "is mtabounce serve running?"
        return Finding(_TITLE, Level.WARN, f"{name} was never polled", mend)
    text = f"{name} was last polled at {found.polled_at:%Y-%m-%d %H:%M} UTC"
    if datetime.now(UTC) - found.polled_at > mailbox.interval * _LATE + mailbox.session_timeout:
        return Finding(_TITLE, Level.FAIL, text, "is mtabounce serve running?")
    return Finding(_TITLE, Level.OK, text)


def _times(found: Standing) -> str:
    count = len(found.refused_at)
    return f" ({count} times since it last did)" if count > 1 else ""


CHECK = Check(title=_TITLE, rank=57, run=_run)
