"""What every protocol gives the poller."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from typing import Protocol as Interface

from mtabounce.errors import TryAgainLater
from mtabounce.sources.mailboxes._settings import MailboxSettings


class MailboxError(TryAgainLater):
    """The mailbox cannot be used now, or its server does not keep to the protocol."""


class MailboxRefused(MailboxError):
    """The server does not let us in: to try again soon would lock the account."""


class MailTooLarge(MailboxError):
    """A mail is larger than is taken, whatever its size was said to be."""


class Gone(Exception):
    """The server says that it does not have this mail."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A mail in a mailbox."""

    number: int  # within this session
    uid: str  # "": the server gives none
    size: int  # octets, as the server says


class Session(Interface):
    """A mailbox that is open. All raise MailboxError and OSError; then only abort() is left."""

    async def entries(self) -> list[Entry]:
        """Return the mails in it."""

    async def fetch(self, entry: Entry) -> bytes:
        """Return a mail. Raises Gone where it is not there, MailTooLarge where it is endless."""

    async def check(self) -> None:
        """Return where the server still keeps to the protocol."""

    async def delete(self, entry: Entry) -> None:
        """Have a mail deleted at quit()."""

    async def quit(self) -> None:
        """Delete what is to be deleted, and end the session."""

    def abort(self) -> None:
        """End the session at once. Nothing is deleted."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """How mailboxes of one kind are opened."""

    title: str
    settings: type[MailboxSettings]
    key: Callable[[Any], str]  # settings → what tells the mailbox from all others
    open: Callable[[Any], Awaitable[Session]]  # settings → a session that is logged in
