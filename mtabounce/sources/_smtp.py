"""The commands of SMTP (RFC 5321) and LMTP (RFC 2033): from MAIL to a mail that is durable."""

import asyncio
import logging
from datetime import UTC, datetime

from aiosmtpd.smtp import TLSSetupException
from prometheus_client import Counter

from mtabounce.errors import InputRejected, TryAgainLater
from mtabounce.model import RawInput
from mtabounce.sources._data import TOO_LARGE, Collector
from mtabounce.sources._paths import forward_path, reverse_path
from mtabounce.sources._session import CLOSING, Session

log = logging.getLogger(__name__)

_COMMANDS = ("STARTTLS", "MAIL", "RCPT", "DATA", "RSET", "NOOP", "VRFY", "QUIT")
_COMMIT = 15.0  # seconds that a mail may take to become durable
_RECIPIENTS = 20  # of one mail
_MESSAGES = 100  # of one connection; a trusted peer's are not counted

MESSAGES = Counter(
    "mtabounce_receiver_messages",
    "Mails received, by the reply to them: 250, 451 (or 452), 5xx.",
    ["reply"],
)
BYTES = Counter("mtabounce_receiver_bytes", "Bytes of the mails received.")
REJECTED = Counter(
    "mtabounce_receiver_rejected_recipients", "Recipients refused as none of our addresses."
)
_COUNT = {reply[0]: MESSAGES.labels(reply) for reply in ("250", "451", "5xx")}


class SmtpSession(Session):
    """Each reply has an enhanced status (RFC 2034). What is refused, is refused in the dialogue."""

    commands: tuple[str, ...] = ("HELO", "EHLO", *_COMMANDS)
    _messages = 0

    async def smtp_HELO(self, hostname: str) -> None:  # noqa: N802 (aiosmtpd finds it by name)
        """Greet, without extensions."""
        await self._greet(hostname, [])

    async def smtp_EHLO(self, hostname: str) -> None:  # noqa: N802
        """Greet, and name the extensions."""
        offers = [f"SIZE {self.service.max_size}", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"]
        if self.tls_context and self._tls_protocol is None:
            offers.append("STARTTLS")
        await self._greet(hostname, [*offers, "PIPELINING"])

    async def _greet(self, hostname: str, offers: list[str]) -> None:
        if not hostname:
            await self.push("501 5.5.4 say your name")
            return
        self._set_rset_state()
        self.client = hostname
        *lines, last = [self.hostname, *offers]
        for line in lines:
            await self.push(f"250-{line}")
        await self.push(f"250 {last}")

    async def smtp_STARTTLS(self, arg: str) -> None:  # noqa: N802
        """Begin TLS; what the client sent before it is forgotten (CVE-2024-34083)."""
        if not self.tls_context or self._tls_protocol is not None:
            await self.push("503 5.5.1 no TLS to start")
        else:
            self.pace.step()
            await super().smtp_STARTTLS(arg)
            if self.session is None or self.session.ssl is None:
                raise TLSSetupException  # asyncio calls a handshake that we cut a success

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        """Begin a mail. The reverse-path is only noted, be it what it may."""
        given = reverse_path(arg or "")
        if not self.client:
            await self.push("503 5.5.1 say hello first")
        elif self.reverse_path is not None:
            await self.push("503 5.5.1 one mail at a time")
        elif given is None:
            await self.push("501 5.5.4 write MAIL FROM:<address>")
        elif given[1] > self.service.max_size:
            await self.push(TOO_LARGE)
        elif self._messages >= _MESSAGES and not self.peer.trusted:
            self.leave("421 4.7.0 enough for one connection")
        else:
            self.reverse_path = given[0]
            self.pace.step()
            await self.push("250 2.1.0 ok")

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802
        """Take a recipient that is ours. Whatever is wrong with others, they all hear the same."""
        path = forward_path(arg or "")
        if self.reverse_path is None:
            await self.push("503 5.5.1 MAIL comes first")
        elif len(self.forward_paths) >= _RECIPIENTS:
            await self.push("452 4.5.3 too many recipients")
        elif path is None or not self.service.is_ours(path):
            REJECTED.inc()
            await self.push(InputRejected.smtp_reply)
        else:
            self.forward_paths.append(path)
            self.pace.step()
            await self.push("250 2.1.5 ok")

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        """Take the mail, and answer when it is durable."""
        if not self.forward_paths or arg:
            await self.push("503 5.5.1 RCPT comes first" if not arg else "501 5.5.4 DATA alone")
            return
        await self.push("354 end with <CR><LF>.<CR><LF>")
        self.is_busy = True
        self.pace.begin_data()
        collector = Collector(self.service.max_size, self.service.room)
        try:
            await self._collect(collector)
            reply = collector.refusal or await self._keep(collector.content)
        finally:
            collector.release()
            self.pace.end_data()
            self.is_busy = False
        _COUNT[reply[0]].inc()
        BYTES.inc(collector.seen)
        await self._answer(reply)
        self._set_rset_state()
        if collector.is_flood:
            self.leave("421 4.7.0 too much data")
        elif self.service.is_closing:
            self.leave(CLOSING)

    async def _collect(self, collector: Collector) -> None:
        """Read the mail to its end, or to where reading on is of no use."""
        rest = collector.feed(self.take_input())
        while rest is None and not collector.is_flood:
            if not (chunk := await self.read()):
                raise ConnectionResetError
            rest = collector.feed(chunk)
            self.pace.data_bytes = collector.seen
        self.put_back(rest or b"")

    async def _keep(self, mail: bytes) -> str:
        """Return 250 only where *mail* is durable. No trouble of ours may become a 5xx."""
        raw = RawInput(
            source="receiver",
            content=mail,
            received_at=datetime.now(UTC),
            reverse_path=self.reverse_path,
            forward_paths=tuple(self.forward_paths),
            peer=self.peer.address,
            trusted=self.peer.trusted,
        )
        self.is_committing = True
        try:
            async with asyncio.timeout(_COMMIT):
                await self.service.accept(raw)
        except (TryAgainLater, TimeoutError) as error:
            log.info("a mail from %s was put off: %r", self.peer.address, error)
            return TryAgainLater.smtp_reply
        except Exception:
            log.exception("a mail from %s could not be kept", self.peer.address)
            return TryAgainLater.smtp_reply
        finally:
            self.is_committing = False
        self._messages += 1
        self.forgive()
        return "250 2.0.0 kept"

    async def _answer(self, reply: str) -> None:
        await self.push(reply)

    async def smtp_RSET(self, arg: str) -> None:  # noqa: N802
        """Forget the mail under way."""
        del arg
        self._set_rset_state()
        await self.push("250 2.0.0 ok")

    async def smtp_NOOP(self, arg: str) -> None:  # noqa: N802
        """Do nothing."""
        del arg
        await self.push("250 2.0.0 ok")

    async def smtp_VRFY(self, arg: str) -> None:  # noqa: N802
        """Tell nothing about any address."""
        del arg
        await self.push("252 2.5.0 send it and see")

    async def smtp_QUIT(self, arg: str) -> None:  # noqa: N802
        """End the session."""
        del arg
        self.leave("221 2.0.0 bye")


class LmtpSession(SmtpSession):
    """LMTP: another greeting, and after DATA a reply for each recipient."""

    greeting = "LMTP"
    commands = ("LHLO", *_COMMANDS)

    async def smtp_LHLO(self, hostname: str) -> None:  # noqa: N802
        """Greet, and name the extensions."""
        await self.smtp_EHLO(hostname)

    async def _answer(self, reply: str) -> None:
        for _ in self.forward_paths:
            await self.push(reply)
