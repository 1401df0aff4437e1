"""Receives bounces by SMTP and LMTP. A mail gets its 250 only when it is durable."""

import asyncio
import logging
import socket
import ssl
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

from prometheus_client import Counter, Gauge

from mtabounce.config import ListenAddress
from mtabounce.errors import ConfigError
from mtabounce.listen import activated_sockets, address_of, is_local, open_sockets
from mtabounce.network import Peer, Slots, tls_context
from mtabounce.pipeline.inbox import Accept
from mtabounce.sources._data import Room
from mtabounce.sources._limits import CROWDED_IDLE
from mtabounce.sources._paths import IsOurs, own_addresses
from mtabounce.sources._session import CLOSING, Service, Session
from mtabounce.sources._smtp import LmtpSession, SmtpSession
from mtabounce.sources.receiver_settings import OPEN_RELAY, ReceiverSettings

__all__ = ["IsOurs", "Receiver", "own_addresses"]

log = logging.getLogger(__name__)

CONNECTIONS = Counter(
    "mtabounce_receiver_connections",
    "Connections, by what became of them: accepted, too_many, too_many_of_peer, closing.",
    ["result"],
)
OPEN = Gauge("mtabounce_receiver_open_connections", "Connections that are open now.")

# From 3.13 on Python removes the files of Unix sockets; those of systemd must stay.
_KEEP: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
_BACKLOG = 512  # connections that wait in the kernel
_ROOM = 16  # of the largest mails may be under way at a time
_TICK = 1.0  # seconds between two looks at all sessions
_TOO_MANY = "421 4.7.0 too many connections, try again later"


class _Gate(asyncio.Protocol):
    """Decides, before anything dear is made, whether a client gets a session."""

    def __init__(self, admit: Callable[[object], Session | str]) -> None:
        self._admit = admit

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand the connection to a session, or refuse it."""
        both_ways = cast("asyncio.Transport", transport)
        admitted = self._admit(transport.get_extra_info("peername"))
        if isinstance(admitted, str):
            both_ways.write(f"{admitted}\r\n".encode())
            both_ways.close()
            return
        both_ways.set_protocol(admitted)
        admitted.connection_made(both_ways)


class Receiver:
    """
    Listens, and looks after the sessions: their number, their pace, their end.

    Sockets that systemd passes as "smtp" or "lmtp" take the place of settings, unless it
    *is_private*.
    """

    def __init__(
        self,
        settings: ReceiverSettings,
        accept: Accept,
        is_ours: IsOurs | None = None,
        *,
        is_private: bool = False,
    ) -> None:
        self.settings = settings
        self._is_private = is_private
        self.addresses: list[str] = []  # bound ones: port 0 is resolved
        self._service = Service(
            accept=accept,
            is_ours=is_ours or own_addresses(settings.return_paths),
            hostname=settings.hostname,
            max_size=settings.max_size,
            room=Room(_ROOM * settings.max_size),
            on_close=self._closed,
        )
        self._slots = Slots(settings.max_connections, settings.max_connections_per_ip)
        self.sessions: set[Session] = set()  # until connection and commit are both at an end
        self._servers: list[asyncio.Server] = []
        self._watcher: asyncio.Task[None] | None = None
        self._unix_paths: list[Path] = []  # ours, to be removed at the end

    async def start(self) -> None:
        """
        Listen.

        Raises ConfigError where an address or the certificate cannot be used.
        """
        self._service.tls = self._tls()
        self._watcher = asyncio.create_task(self._watch())
        try:
            await self._listen("smtp", "listen", self.settings.listen, SmtpSession)
            await self._listen("lmtp", "lmtp_listen", self.settings.lmtp_listen, LmtpSession)
        except ConfigError:
            await self.close(0)
            raise

    def reload(self, is_ours: IsOurs | None = None) -> None:
        """
        Read the certificate anew, and take mail by *is_ours* from now on; None: as before.

        Where the certificate cannot be used, the old one stays.
        """
        self._service.is_ours = is_ours or self._service.is_ours
        try:
            self._service.tls = self._tls()
        except ConfigError as error:
            log.error("%s; the old certificate stays in use", error)  # noqa: TRY400 (says it all)

    async def close(self, grace: float = 10.0) -> None:
        """
        Stop listening, say 421 to idle clients, and let mails under way end, for *grace* seconds.

        A mail that is not durable by then gets no reply, so that its sender tries again.
        """
        self._service.is_closing = True
        for server in self._servers:
            server.close()
        for session in [one for one in self.sessions if not one.is_busy]:
            session.dismiss(CLOSING)
        await self._ended(grace)
        for session in list(self.sessions):
            session.cancel()
            session.dismiss(CLOSING)
        await self._ended(1.0)
        if self._watcher is not None:
            self._watcher.cancel()
        for path in self._unix_paths:
            path.unlink(missing_ok=True)

    async def _ended(self, patience: float) -> None:
        ends = [asyncio.ensure_future(session.ended()) for session in self.sessions]
        if ends:
            await asyncio.wait(ends, timeout=patience)
        for end in ends:
            end.cancel()

    async def _listen(
        self, name: str, key: str, addresses: list[ListenAddress], kind: type[SmtpSession]
    ) -> None:
        sockets = [] if self._is_private else activated_sockets(name)
        if sockets:
            self._refuse_strangers(name, [address_of(sock) for sock in sockets])
        else:
            sockets = open_sockets(f"[receiver] {key}", addresses, self.settings.socket_mode)
            self._unix_paths += [one.path for one in addresses if one.path is not None]
        for sock in sockets:
            sock.setblocking(False)
            self.addresses.append(str(address_of(sock)))
            self._servers.append(await self._serve(sock, kind))
            log.info("listening for %s on %s", name.upper(), self.addresses[-1])

    async def _serve(self, sock: socket.socket, kind: type[SmtpSession]) -> asyncio.Server:
        loop, is_unix = asyncio.get_running_loop(), sock.family == socket.AF_UNIX
        gate = partial(_Gate, partial(self._admit, kind, is_unix))
        if is_unix:
            return await loop.create_unix_server(gate, sock=sock, backlog=_BACKLOG, **_KEEP)
        return await loop.create_server(gate, sock=sock, backlog=_BACKLOG)

    def _refuse_strangers(self, name: str, addresses: list[ListenAddress]) -> None:
        """Hold what systemd listens on to the same rule as the settings."""
        if not self.settings.return_paths and not all(map(is_local, addresses)):
            raise ConfigError(f"[receiver] systemd socket {name}: {OPEN_RELAY}")

    def _tls(self) -> ssl.SSLContext | None:
        certificate, key = self.settings.tls_certificate_file, self.settings.tls_key_file
        if certificate is None:
            return None
        return tls_context("receiver", certificate, key)

    def _admit(self, kind: type[SmtpSession], is_unix: bool, peername: object) -> Session | str:
        """Return a session for a client at *peername*, or the reply that refuses it one."""
        if is_unix:
            peer = Peer.local()
        elif isinstance(peername, tuple):
            peer = Peer.at(str(peername[0]), self.settings.trusted_peers)
        else:
            return CLOSING  # it has gone already, though what it sent can still be read
        refused = "closing" if self._service.is_closing else self._slots.take(peer)
        CONNECTIONS.labels(refused or "accepted").inc()
        if refused:
            return CLOSING if refused == "closing" else _TOO_MANY
        session = kind(self._service, peer)
        self.sessions.add(session)
        OPEN.set(len(self.sessions))
        return session

    def _closed(self, session: Session) -> None:
        self._slots.give_back(session.peer)
        self.sessions.discard(session)
        OPEN.set(len(self.sessions))

    async def _watch(self) -> None:
        """Send those away who take too long. One look at all costs less than a timer for each."""
        transaction = self.settings.transaction_timeout.total_seconds()
        while True:
            await asyncio.sleep(_TICK)
            idle = self.settings.idle_timeout.total_seconds()
            if self._slots.crowded:
                idle = min(idle, CROWDED_IDLE)
            for session in list(self.sessions):
                if session.is_leaving or session.is_overdue(idle, transaction):
                    session.dismiss("421 4.4.2 you took too long")
