"""
Connections until TLS is agreed on.

They have a slot from the first moment, and little time: asyncio tells a protocol of a connection
only once TLS is there, and who never finishes that would count as nobody.
"""

import asyncio
import ssl
from asyncio.sslproto import SSLProtocol  # as aiosmtpd does: start_tls() loses what came before it
from functools import partial
from typing import Any

from uvicorn.protocols.utils import get_remote_addr

from mtabounce.network import Peer
from mtabounce.web.protocol import HEAD_TIME, REFUSED, Door, Protocol


class Greeter(asyncio.Protocol):
    """A connection that is to speak TLS; a Protocol takes over once that is agreed on."""

    def __init__(self, *args: Any, door: Door, tls: ssl.SSLContext, **named: Any) -> None:
        self._door = door
        self._tls = tls
        self._make = partial(Protocol, *args, door=door, **named)
        self._connections: set[Any] = named["server_state"].connections  # uvicorn's
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """Give the client a slot, and agree on TLS with it; or send it away."""
        peer = self._door.peer_at(get_remote_addr(transport))
        if why := self._door.slots.take(peer):
            REFUSED.labels(why).inc()
            transport.abort()
            return
        self._transport = transport
        self._connections.add(self)
        loop = asyncio.get_running_loop()
        protocol, agreed = self._make(peer=peer), loop.create_future()
        agreed.add_done_callback(partial(self._agreed, protocol, peer))
        secured = SSLProtocol(
            loop,
            protocol,
            self._tls,
            agreed,
            server_side=True,
            ssl_handshake_timeout=round(HEAD_TIME),
        )
        transport.set_protocol(secured)
        secured.connection_made(transport)

    def shutdown(self) -> None:
        """Send the client away: we stop."""
        self._transport.abort()

    def _agreed(self, protocol: Protocol, peer: Peer, agreed: asyncio.Future[Any]) -> None:
        self._connections.discard(self)
        failed = agreed.exception()  # asked for, lest it be logged
        if protocol.transport is None:
            REFUSED.labels("no_tls").inc()
            self._door.slots.give_back(peer)
            if failed is not None:
                self._transport.abort()
