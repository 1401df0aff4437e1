"""
Tells Postfix whom to refuse, by its policy protocol (SMTPD_POLICY_README), and never stops mail.

Where PostgreSQL is away, or does not answer in time, nobody is refused, and that is said at once:
a hanging database is not asked a second question before it answered the first.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

from prometheus_client import Counter
from psycopg import AsyncConnection, Error

from mtabounce.address import is_local_part, with_quotes
from mtabounce.errors import TryAgainLater
from mtabounce.listen import address_of, open_sockets
from mtabounce.lookup_settings import LookupSettings
from mtabounce.network import Network
from mtabounce.store.connection import Connect
from mtabounce.store.suppressions import refusal

ANSWERS = Counter(
    "mtabounce_lookups_total", "Answers to mail servers: refused, free, unknown.", ["answer"]
)
NOBODY = "DUNNO"  # let other restrictions decide
_LONGEST = 65_536  # bytes of a request; Postfix sends about 1,000
_IDLE = 1000.0  # seconds; Postfix closes what it has not used for 300
_PAUSE = 1.0  # seconds after a failure in which PostgreSQL is not asked
_CLIENTS = 1000  # at a time; each process of smtpd keeps one
log = logging.getLogger(__name__)


class Refusals:
    """Asks PostgreSQL why a recipient is refused, and waits for it only so long."""

    def __init__(self, connect: Connect, timeout: float) -> None:
        """*timeout* is in seconds."""
        self._connect = connect
        self._timeout = timeout
        self._conn: AsyncConnection[Any] | None = None
        self._one_by_one = asyncio.Lock()
        self._hanging: set[asyncio.Task[str | None]] = set()
        self._rests_until = 0.0  # by the monotonic clock
        self._is_away = False

    async def of(self, recipient: str) -> str | None:
        """Return why *recipient* is refused; None where it is not, or nobody can say."""
        if self._hanging or time.monotonic() < self._rests_until:
            ANSWERS.labels("unknown").inc()
            return None
        asking = asyncio.create_task(self._ask(recipient))
        done, _ = await asyncio.wait([asking], timeout=self._timeout)
        if done:
            return asking.result()
        self._hanging.add(asking)
        asking.add_done_callback(self._hanging.discard)
        self._cannot_say(f"no answer within {self._timeout:g} s")
        return None

    async def close(self) -> None:
        """Ask no more."""
        for task in self._hanging:
            task.cancel()
        if self._conn is not None:
            await self._conn.close()

    async def _ask(self, recipient: str) -> str | None:
        async with self._one_by_one:
            try:
                if self._conn is None:
                    self._conn = await self._connect()
                why = await refusal(self._conn, recipient)
            except (Error, TryAgainLater) as error:
                await self._forget()
                self._cannot_say(str(error))
                return None
        if self._is_away:
            log.info("lookup: PostgreSQL answers again")
        self._is_away = False
        ANSWERS.labels("refused" if why else "free").inc()
        return why

    async def _forget(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            with suppress(Error):
                await conn.close()

    def _cannot_say(self, why: str) -> None:
        ANSWERS.labels("unknown").inc()
        self._rests_until = time.monotonic() + _PAUSE
        if not self._is_away:
            log.warning("lookup: nobody is refused while PostgreSQL does not answer: %s", why)
        self._is_away = True


class Lookup:
    """Listens for Postfix."""

    def __init__(self, settings: LookupSettings, connect: Connect) -> None:
        self.addresses: list[str] = []  # bound ones: port 0 is resolved
        self._settings = settings
        self._refusals = Refusals(connect, settings.timeout.total_seconds())
        self._servers: list[asyncio.Server] = []
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen. Raises ConfigError where an address cannot be had."""
        for sock in open_sockets("[lookup] listen", self._settings.listen, 0o666):
            if sock.family == socket.AF_UNIX:
                server = await asyncio.start_unix_server(self._serve, sock=sock, limit=_LONGEST)
            else:
                server = await asyncio.start_server(self._serve, sock=sock, limit=_LONGEST)
            self._servers.append(server)
            self.addresses.append(str(address_of(sock)))
            log.info("listening for Postfix on %s", self.addresses[-1])

    async def close(self) -> None:
        """Stop listening, and hang up: Postfix goes on without an answer."""
        for server in self._servers:
            server.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        await self._refusals.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = asyncio.current_task()
        if client is None or len(self._clients) >= _CLIENTS:
            writer.close()
            return
        self._clients.add(client)
        try:
            # What ends a conversation: it is over, too long, idle too long, or we stop.
            with suppress(asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
                while True:
                    await self._answer(reader, writer)
        except asyncio.CancelledError:
            pass
        finally:
            self._clients.discard(client)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(_IDLE):
            request = await reader.readuntil(b"\n\n")
        asked = recipient_of(request, self._settings.own_networks)
        why = await self._refusals.of(asked) if asked else None
        action = f"550 5.7.1 {why}" if why else NOBODY
        writer.write(f"action={action}\n\n".encode())
        await writer.drain()


def recipient_of(request: bytes, own: Sequence[Network]) -> str:
    """Return whom *request* would mail; "" where it names nobody, or others than *own* mail it."""
    attributes = dict(
        line.split("=", 1) for line in request.decode(errors="replace").split("\n") if "=" in line
    )
    if not _is_ours(attributes, own):
        return ""
    return _written(attributes.get("recipient", "").replace("\0", ""))


def _written(recipient: str) -> str:
    """Return *recipient* with the quotes that its local part needs: mail servers take them off."""
    local, at, _ = recipient.rpartition("@")
    return with_quotes(recipient) if at and not is_local_part(local) else recipient


def _is_ours(attributes: Mapping[str, str], own: Sequence[Network]) -> bool:
    """Tell whether we send that mail. Exim, which tells no client, asks of our own only."""
    client = attributes.get("client_address")
    if client is None or attributes.get("sasl_username"):
        return True
    try:
        address = ip_address(client)
    except ValueError:
        return False
    return any(address in network for network in own)
