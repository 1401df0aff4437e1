"""
One connection: aiosmtpd's SMTP with a command loop and a transport side of our own.

aiosmtpd keeps connection, STARTTLS and envelope. Its command loop is replaced, as it cancels a
commit when the client goes away, tells the client of exceptions, in words and for good, sends
each reply by itself, and has one timer only, that any command sets anew.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from aiosmtpd.smtp import SMTP, TLSSetupException

from mtabounce.errors import TryAgainLater
from mtabounce.network import Peer
from mtabounce.pipeline.inbox import Accept
from mtabounce.sources._data import Room
from mtabounce.sources._limits import Pace
from mtabounce.sources._paths import IsOurs

log = logging.getLogger(__name__)
logging.getLogger("mail.log").setLevel(logging.WARNING)  # aiosmtpd's: lines for each connection


CLOSING = "421 4.3.2 shutting down"
_CHUNK = 65_536  # bytes read at once
_LINE = 4_096  # bytes of a command: RFC 5321's 512, and what the extensions add
_ERRORS = 20  # refused commands between two mails, as Postfix's smtpd_hard_error_limit
_IDLING = frozenset({"NOOP", "RSET", "VRFY", "HELO", "EHLO", "LHLO"})


@dataclass(slots=True, kw_only=True)
class Service:
    """What all sessions of one receiver share."""

    accept: Accept
    is_ours: IsOurs
    hostname: str
    max_size: int  # bytes
    room: Room
    on_close: Callable[["Session"], None]
    tls: ssl.SSLContext | None = None  # replaced by a reload
    is_closing: bool = False  # each session ends with its mail


class Session(SMTP):
    """A connection and its command loop. It is never cancelled, so nothing cuts a commit short."""

    greeting = "ESMTP"
    commands: tuple[str, ...] = ()
    line_length_limit = _CHUNK  # what the reader holds before it stops reading is twice this

    def __init__(self, service: Service, peer: Peer) -> None:
        super().__init__(
            None,
            hostname=service.hostname,
            tls_context=service.tls,
            loop=asyncio.get_running_loop(),
        )
        self._smtp_methods = {name: self._smtp_methods[name] for name in self.commands}
        self.service = service
        self.peer = peer
        self.pace = Pace()
        self.is_busy = False  # between DATA and the reply to the mail
        self.is_committing = False
        self.is_leaving = False  # the last reply is written
        self._input = bytearray()
        self._replies: list[str] = []
        self._errors = 0  # since the last mail
        self._idling = 0  # commands that lead nowhere, since the last mail
        self.client = ""  # the name it gave with EHLO; "": none yet
        self.reverse_path: str | None = None  # of the mail under way; None: no MAIL yet
        self.forward_paths: list[str] = []
        self._loose_ends = 2  # the transport, and the command loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; or begin anew inside TLS, where nothing said before counts (RFC 3207 §4.2)."""
        self.client = ""
        self._input.clear()
        super().connection_made(transport)

    def _set_rset_state(self) -> None:
        """Forget the mail under way. aiosmtpd calls this, too."""
        self.reverse_path = None
        self.forward_paths = []

    def connection_lost(self, error: Exception | None) -> None:
        """Let the command loop find the end of input by itself."""
        if self.transport is None:
            return
        self.transport = None
        if self._original_transport is not None:
            self._original_transport.close()
        asyncio.StreamReaderProtocol.connection_lost(self, error)
        self._end()

    def _end(self) -> None:
        """Count an end. The receiver holds on to a session for as long as a commit takes."""
        self._loose_ends -= 1
        if not self._loose_ends:
            self.service.on_close(self)

    def eof_received(self) -> bool:
        """Keep the other half open: the client may still wait for its reply."""
        self._reader.feed_eof()
        return self._original_transport is None  # TLS knows no half

    def dismiss(self, reply: str) -> None:
        """Say *reply* and close, from outside the command loop; the second time, abort."""
        if self.transport is None:
            return
        if self.is_leaving or self.transport.is_closing():
            plain = self._original_transport or self.transport
            cast("asyncio.Transport", plain).abort()
            return
        self.leave(reply)
        self._write()
        self.transport.close()

    def is_overdue(self, idle: float, transaction: float) -> bool:
        """Return whether the client is stalled (limits in s); a commit has its own deadline."""
        return not self.is_committing and self.pace.is_overdue(idle, transaction)

    async def ended(self) -> None:
        """Return when the command loop has ended."""
        if self._handler_coroutine is not None:
            await asyncio.wait([self._handler_coroutine])

    def cancel(self) -> None:
        """Give up, even a commit: its outcome is then unknown, and the client hears nothing."""
        if self._handler_coroutine is not None:
            self._handler_coroutine.cancel()

    def _reset_timeout(self, duration: float | None = None) -> None:
        """Set no timer: the receiver looks after all sessions once a second."""

    async def _handle_client(self) -> None:
        try:
            await self.push(f"220 {self.hostname} {self.greeting} mtabounce")
            while not self.is_leaving and (line := await self._line()) is not None:
                await self._obey(line)
            await self.flush()
        except TLSSetupException as error:
            self.connection_lost(error)  # asyncio tells it only of connections that had TLS
        except OSError:
            log.debug("%s: connection lost", self.peer.address)
        finally:
            self.is_leaving = True
            if self.transport is not None:
                self.transport.close()
            self._end()

    async def _line(self) -> bytes | None:
        """Return the next command; None at the end of input, or where it is no command."""
        while (end := self._input.find(b"\n")) < 0 and len(self._input) <= _LINE:
            if not (chunk := await self.read()):
                return None
            self._input += chunk
        if not 0 <= end <= _LINE:
            self.leave("500 5.5.2 line too long")
            return None
        line = bytes(self._input[:end])
        del self._input[: end + 1]
        return line

    def take_input(self) -> bytes:
        """Return what the client sent beyond the last command, and forget it."""
        taken = bytes(self._input)
        self._input.clear()
        return taken

    def put_back(self, rest: bytes) -> None:
        """Keep *rest* as the next input."""
        self._input += rest

    async def read(self) -> bytes:
        """Send the replies that are due, then wait for input; b"" at its end."""
        if self._replies:
            await self.flush()
        return await self._reader.read(_CHUNK)

    async def _obey(self, line: bytes) -> None:
        verb, _, arg = line.decode("utf-8", "replace").strip().partition(" ")
        command = verb.upper()
        method = self._smtp_methods.get(command)
        if command in _IDLING:
            self._idling += 1
        try:
            if method is None:
                await self.push("502 5.5.1 command not known")
            elif self._idling > _ERRORS:
                self.leave("421 4.7.0 too many commands without a mail")
            else:
                await method(arg.strip())
        except (ConnectionError, TimeoutError, TLSSetupException):
            raise
        except Exception:
            log.exception("%s failed for %s", command, self.peer.address)
            await self.push(TryAgainLater.smtp_reply)

    async def push(self, status: str | bytes) -> None:
        """Queue a reply. All that are due go out at once, which makes pipelining cheap."""
        if self.is_leaving:
            return
        text = status if isinstance(status, str) else status.decode()
        self._errors += text[0] in "45"
        if self._errors > _ERRORS:
            self.leave("421 4.7.0 too many errors")
        else:
            self._replies.append(text)
        if text.startswith(("220", "354")):
            await self.flush()  # what follows is not a command

    def leave(self, reply: str) -> None:
        """Make *reply* the last: after it the connection is closed."""
        self.is_leaving = True
        self._replies.append(reply)

    def forgive(self) -> None:
        """Forget errors and idling: a mail came of it."""
        self._errors = self._idling = 0

    def _write(self) -> None:
        if self.transport is None or self.transport.is_closing():
            raise ConnectionResetError
        if self._replies:
            self._writer.write("\r\n".join([*self._replies, ""]).encode())
            self._replies.clear()

    async def flush(self) -> None:
        """Send the replies that are due."""
        self._write()
        await self._writer.drain()
