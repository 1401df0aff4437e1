"""
POP3 (RFC 1939), with STLS (RFC 2595), response codes (RFC 2449, RFC 3206) and XOAUTH2.

poplib was tried first: it takes no line above 2,048 octets, has a time limit for each read only,
and goes on after an answer that was none, so that it may delete the wrong mail. Here whatever is
not as the RFC has it ends the session without QUIT, and so without any deletion.
"""

import asyncio
import base64
import hashlib
import re
from contextlib import suppress

from mtabounce.mask import harmless
from mtabounce.sources.mailboxes._line import Line
from mtabounce.sources.mailboxes._mailbox import (
    Entry,
    Gone,
    MailboxError,
    MailboxRefused,
    MailTooLarge,
    Protocol,
)
from mtabounce.sources.mailboxes._oauth import token_for, xoauth2
from mtabounce.sources.mailboxes._settings import MailboxSettings, Pop3Settings, secret_in

_YES = re.compile(r"\+OK(?: |$)")
_UID = re.compile(r"[\x21-\x7e]{1,70}")  # RFC 1939 §7
_STAMP = re.compile(r"<[\x21-\x7e]+@[\x21-\x7e]+>")
_PASSING = ("[IN-USE]", "[LOGIN-DELAY]", "[SYS/TEMP]")  # it is not the password
_SLOWEST = 10_000  # octets/s that a server must do
_MOST = 2**20  # lines of a list
_SLACK = 2**16  # octets that a mail may be larger than was said


class _Pop3:
    """A session."""

    def __init__(self, line: Line, settings: Pop3Settings) -> None:
        self._line = line
        self._settings = settings

    async def entries(self) -> list[Entry]:
        sizes = dict(map(_pair, await self._listed("LIST")))
        uids = await self._uids()
        try:
            return [
                Entry(number, uids.get(number, ""), int(size)) for number, size in sizes.items()
            ]
        except ValueError:
            raise MailboxError("LIST gives no sizes") from None

    async def _uids(self) -> dict[int, str]:
        """Return the uids; none where the server has none, or they do not tell mails apart."""
        try:
            uids = dict(map(_pair, await self._listed("UIDL")))
        except Gone:
            return {}
        alike = len(set(uids.values())) < len(uids)
        return {} if alike or not all(map(_UID.fullmatch, uids.values())) else uids

    async def fetch(self, entry: Entry) -> bytes:
        await self._ask(f"RETR {entry.number}")
        limit = self._settings.max_size + _SLACK
        seconds = self._line.seconds + min(entry.size, limit) / _SLOWEST
        lines = await self._lines(limit, seconds, endless=MailTooLarge)
        return b"".join(lines)

    async def check(self) -> None:
        await self._ask("NOOP")

    async def delete(self, entry: Entry) -> None:
        with suppress(Gone):  # it stays then, and is deleted another time
            await self._ask(f"DELE {entry.number}")

    async def quit(self) -> None:
        try:
            await self._ask("QUIT")
        except Gone as error:
            raise MailboxError(f"not all could be deleted: {error}") from None
        finally:
            self.abort()

    def abort(self) -> None:
        self._line.abort()

    async def begin(self) -> None:
        """Log in. Raises MailboxRefused where the server does not want us."""
        greeting = await self._answer()
        if self._settings.tls == "starttls":
            await self._start_tls()
        try:
            await self._log_in(greeting)
        except Gone as error:
            passes = str(error).upper().startswith(_PASSING)
            kind = MailboxError if passes else MailboxRefused
            raise kind(f"the server does not let {self._settings.username} in: {error}") from None

    async def _start_tls(self) -> None:
        try:
            await self._ask("STLS")
        except Gone as error:
            raise MailboxError(f"the server does not do STARTTLS: {error}") from None
        await self._line.start_tls(self._settings.context())

    async def _log_in(self, greeting: str) -> None:
        settings = self._settings
        if settings.password_file is None:
            await self._log_in_by_token()
            return
        password = secret_in(settings.password_file)
        if settings.apop:
            stamp = _STAMP.search(greeting)
            if stamp is None:
                raise MailboxRefused("the server does not do APOP")
            mixed = f"{stamp[0]}{password}".encode()
            digest = hashlib.md5(mixed, usedforsecurity=False).hexdigest()  # RFC 1939 §7 says so
            await self._ask(f"APOP {settings.username} {digest}")
        else:
            await self._ask(f"USER {settings.username}")
            await self._ask(f"PASS {password}")

    async def _log_in_by_token(self) -> None:
        token = await token_for(self._settings)
        await self._line.write(b"AUTH XOAUTH2")
        await self._answer(challenge=True)
        await self._line.write(base64.b64encode(xoauth2(self._settings.username, token)))
        if (await self._answer(challenge=True)).startswith("+ "):  # why not, in base64
            await self._line.write(b"")
            await self._answer()

    async def _ask(self, command: str) -> str:
        if self._line.has_surplus():
            raise MailboxError("the server sent more than was asked for")
        await self._line.write(command.encode())
        return await self._answer()

    async def _answer(self, *, challenge: bool = False) -> str:
        """Return the answer. Raises Gone for -ERR, MailboxError for what is no answer."""
        try:
            async with asyncio.timeout(self._line.seconds):
                line = await self._line.read()
        except TimeoutError:
            raise MailboxError("the server does not answer") from None
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        if text.startswith("-ERR"):
            raise Gone(self._settings.shown(text[4:]))
        if not _YES.match(text) and not (challenge and text[:2] in ("+", "+ ")):
            said = self._settings.shown(text)
            raise MailboxError(f'the server said "{said}" where +OK or -ERR belongs')
        return text

    async def _listed(self, command: str) -> list[bytes]:
        await self._ask(command)
        return await self._lines(_MOST * 100, self._line.seconds * 5, endless=MailboxError)

    async def _lines(self, limit: int, seconds: float, endless: type[MailboxError]) -> list[bytes]:
        """Return lines up to the lone dot, the dots that were added taken off."""
        lines: list[bytes] = []
        size, before = 0, b"\r\n"
        try:
            async with asyncio.timeout(seconds):
                while (line := await self._line.read()) != b".\r\n" or not before.endswith(b"\r\n"):
                    starts = before.endswith(b"\r\n")
                    lines.append(line[1:] if starts and line.startswith(b".") else line)
                    size, before = size + len(line), line
                    if size > limit or len(lines) > _MOST:
                        raise endless(f"the server sent more than {limit} octets")
        except TimeoutError:
            raise MailboxError(f"an answer had no end after {seconds:g} s") from None
        return lines


def _pair(line: bytes) -> tuple[int, str]:
    number, _, rest = line.decode("ascii", "replace").strip().partition(" ")
    if not number.isdecimal() or len(number) > 10:
        raise MailboxError(
            f'a list holds "{harmless(line.decode("ascii", "replace").strip())[:200]}"'
        )
    return int(number), rest.strip()


def _port(settings: MailboxSettings) -> int:
    return settings.port or (995 if settings.tls == "implicit" else 110)


def _key(settings: Pop3Settings) -> str:
    return f"pop3://{settings.username}@{settings.host}:{_port(settings)}"


async def _open(settings: Pop3Settings) -> _Pop3:
    context = settings.context() if settings.tls == "implicit" else None
    line = await Line.connect(settings.host, _port(settings), settings.seconds, context)
    session = _Pop3(line, settings)
    try:
        await session.begin()
    except BaseException:
        session.abort()
        raise
    return session


PROTOCOL = Protocol("POP3", Pop3Settings, _key, _open)
