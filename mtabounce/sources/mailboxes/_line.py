"""A connection of lines, each with a limit, each answer with a deadline."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from mtabounce.sources.mailboxes._mailbox import MailboxError

LONGEST = 2**20  # octets of a line; poplib takes 2,048, and mails have longer ones


class Line:
    """One connection. *seconds* is how long each step may take."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, seconds: float
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._host = host
        self.seconds = seconds

    @classmethod
    async def connect(
        cls, host: str, port: int, seconds: float, context: ssl.SSLContext | None
    ) -> Self:
        """Connect; with *context*, in TLS at once. Raises MailboxError, in words."""
        with explained(f"{host}:{port}"):
            async with asyncio.timeout(seconds):
                streams = await asyncio.open_connection(
                    host, port, ssl=context, limit=LONGEST, server_hostname=context and host
                )
        return cls(*streams, host, seconds)

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """
        Begin TLS. What came before it in the clear counts for nothing (CVE-2021-33515).

        Raises MailboxError where the server talks on before it, or TLS fails.
        """
        if self.has_surplus():
            raise MailboxError(f"{self._host} goes on talking before TLS begins")
        with explained(self._host):
            async with asyncio.timeout(self.seconds):
                await self._writer.start_tls(context, server_hostname=self._host)

    async def read(self) -> bytes:
        """Return the next line, with its end. Raises MailboxError at the end of input."""
        with explained(self._host):
            return await self._reader.readuntil(b"\n")

    async def write(self, line: bytes) -> None:
        """Send *line*, and CRLF. Raises ValueError where it would be more than one line."""
        if b"\r" in line or b"\n" in line or b"\0" in line:
            raise ValueError("a command holds a line break")
        with explained(self._host):
            self._writer.write(line + b"\r\n")
            async with asyncio.timeout(self.seconds):
                await self._writer.drain()

    def has_surplus(self) -> bool:
        """Return whether more came than was asked for."""
        return bool(self._reader._buffer)  # type: ignore[attr-defined] # noqa: SLF001 (no public way to look)

    def abort(self) -> None:
        """Close the connection without another word."""
        self._writer.transport.abort()


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Turn what goes wrong on the network into a MailboxError of one line."""
    try:
        yield
    except TimeoutError as error:
        raise MailboxError(f"{where} does not answer") from error
    except asyncio.IncompleteReadError as error:
        raise MailboxError(f"{where} closed the connection") from error
    except asyncio.LimitOverrunError as error:
        raise MailboxError(f"{where} sent a line of more than {LONGEST} octets") from error
    except ssl.SSLCertVerificationError as error:
        why = error.verify_message.rstrip(".")
        raise MailboxError(f"{where} has a certificate that proves nothing: {why}") from error
    except ssl.SSLError as error:
        raise MailboxError(f"{where} does not do TLS as it should: {error.reason}") from error
    except OSError as error:
        raise MailboxError(f"{where}: {error.strerror or error}") from error
