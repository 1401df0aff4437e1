"""
IMAP (RFC 3501, RFC 9051), by imapclient, in a thread.

A mail is flagged as deleted once it is stored, and expunged by its own uid at the end (UIDPLUS,
RFC 4315): what others flagged in the same folder stays theirs.
"""

import asyncio
import imaplib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from imapclient import DELETED, IMAPClient, SocketTimeout
from imapclient.exceptions import IMAPClientError, LoginError

from mtabounce.sources.mailboxes._line import explained
from mtabounce.sources.mailboxes._mailbox import (
    Entry,
    Gone,
    MailboxError,
    MailboxRefused,
    MailTooLarge,
    Protocol,
)
from mtabounce.sources.mailboxes._oauth import token_for
from mtabounce.sources.mailboxes._settings import ImapSettings, secret_in

T = TypeVar("T")
_PASSING = ("[INUSE]", "[UNAVAILABLE]", "[LIMIT]", "[SERVERBUG]")  # RFC 5530: not the password
_MARGIN = 10.0  # seconds beyond those that the socket itself waits


class _Imap:
    """A session."""

    def __init__(self, client: IMAPClient, settings: ImapSettings, validity: int) -> None:
        self._client = client
        self._settings = settings
        self._validity = validity
        self._flagged: set[int] = set()  # as deleted before this session
        self._doomed: list[int] = []

    async def entries(self) -> list[Entry]:
        found = await self._do(self._known)
        self._flagged = {uid for uid, data in found.items() if DELETED in data[b"FLAGS"]}
        return [
            Entry(uid, f"{self._validity}:{uid}", int(data[b"RFC822.SIZE"]))
            for uid, data in sorted(found.items())
        ]

    def _known(self) -> dict[int, Any]:
        uids = self._client.search("ALL")
        return dict(self._client.fetch(uids, ["RFC822.SIZE", "FLAGS"])) if uids else {}

    async def fetch(self, entry: Entry) -> bytes:
        limit = self._settings.max_size
        found = await self._do(
            lambda: self._client.fetch([entry.number], [f"BODY.PEEK[]<0.{limit + 1}>"])
        )
        content = found.get(entry.number, {}).get(b"BODY[]<0>")
        if content is None:
            raise Gone(f"there is no mail {entry.number}")
        if len(content) > limit:
            raise MailTooLarge(f"mail {entry.number} has more than {limit} octets")
        return bytes(content)

    async def check(self) -> None:
        await self._do(self._client.noop)

    async def delete(self, entry: Entry) -> None:
        if entry.number not in self._flagged:  # a server without UIDPLUS keeps them for long
            await self._do(lambda: self._client.add_flags([entry.number], [DELETED], silent=True))
        self._doomed.append(entry.number)

    async def quit(self) -> None:
        if self._doomed and await self._do(lambda: self._client.has_capability("UIDPLUS")):
            await self._do(lambda: self._client.uid_expunge(self._doomed))
        await self._do(self._client.logout)

    def abort(self) -> None:
        _shut(self._client)

    async def _do(self, action: Callable[[], T]) -> T:
        return await _in_thread(action, self._settings)


async def _in_thread(action: Callable[[], T], settings: ImapSettings) -> T:
    with explained(f"{settings.host}:{_port(settings)}"), _told(settings):
        async with asyncio.timeout(settings.session_timeout.total_seconds() + _MARGIN):
            return await asyncio.to_thread(action)


@contextmanager
def _told(settings: ImapSettings) -> Iterator[None]:
    """Turn what IMAP libraries raise into one line."""
    try:
        yield
    except OSError:  # a wrong certificate is a ValueError, too
        raise
    except LoginError as error:
        passes = _words(error).upper().startswith(_PASSING)
        kind = MailboxError if passes else MailboxRefused
        said = settings.shown(_words(error))
        raise kind(f"the server does not let {settings.username} in: {said}") from error
    except (IMAPClientError, imaplib.IMAP4.error, ValueError) as error:
        said = settings.shown(_words(error))
        raise MailboxError(f"the server said: {said}") from error


def _words(error: Exception) -> str:
    """Return what the server said: libraries give it as the repr() of bytes, or of None."""
    text = re.sub(r"""\bb(['"])(.*)\1""", r"\2", str(error))
    return "nothing that IMAP has" if text == "None" else text


def _port(settings: ImapSettings) -> int:
    return settings.port or (993 if settings.tls == "implicit" else 143)


def _key(settings: ImapSettings) -> str:
    return f"imap://{settings.username}@{settings.host}:{_port(settings)}/{settings.folder}"


async def _open(settings: ImapSettings) -> _Imap:
    client = await _in_thread(lambda: _connected(settings), settings)
    try:
        if settings.password_file is None:
            token = await token_for(settings)
            await _in_thread(lambda: client.oauth2_login(settings.username, token), settings)
        else:
            password = secret_in(settings.password_file)
            await _in_thread(lambda: client.login(settings.username, password), settings)
        folder = await _in_thread(lambda: client.select_folder(settings.folder), settings)
    except BaseException:
        _shut(client)
        raise
    return _Imap(client, settings, int(folder[b"UIDVALIDITY"]))


def _shut(client: IMAPClient) -> None:
    with suppress(OSError, imaplib.IMAP4.error):
        client.shutdown()


def _connected(settings: ImapSettings) -> IMAPClient:
    context = None if settings.tls == "none" else settings.context()
    client = IMAPClient(
        settings.host,
        _port(settings),
        ssl=settings.tls == "implicit",
        ssl_context=context,
        timeout=SocketTimeout(settings.seconds, settings.seconds),
    )
    if settings.tls == "starttls":
        try:
            client.starttls(context)
        except BaseException:
            _shut(client)
            raise
    return client


PROTOCOL = Protocol("IMAP", ImapSettings, _key, _open)
