"""
Mailboxes that bounces are fetched from: one module for each protocol.

A module declares one ``PROTOCOL``. What is done with the mails is the same for all: see
sources/poller.py.
"""

from mtabounce.registry import discover
from mtabounce.sources.mailboxes._mailbox import (
    Entry,
    Gone,
    MailboxError,
    MailboxRefused,
    MailTooLarge,
    Protocol,
    Session,
)
from mtabounce.sources.mailboxes._settings import (
    ImapSettings,
    MailboxSettings,
    Pop3Settings,
    secret_in,
)

__all__ = [
    "Entry",
    "Gone",
    "ImapSettings",
    "MailTooLarge",
    "MailboxError",
    "MailboxRefused",
    "MailboxSettings",
    "Pop3Settings",
    "Protocol",
    "Session",
    "protocols",
    "secret_in",
]


def protocols() -> dict[str, Protocol]:
    """Return every protocol by its name, which is also that of its sections: pop3, imap."""
    return discover(__name__, Protocol)
