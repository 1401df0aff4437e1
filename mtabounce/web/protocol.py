"""
HTTP as uvicorn and httptools read it, with the limits that they leave to a proxy.

How long and how large a head may be, how slow a client, how many connections. What is not plain
HTTP/1.1, as in attempts to smuggle a second request past a proxy, is refused by httptools, and
the connection closed.
"""

from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from math import inf
from time import monotonic
from typing import Any

from prometheus_client import Counter
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from mtabounce.network import Peer, Slots

REFUSED = Counter(
    "mtabounce_http_refused_connections_total",
    "Connections that were closed: too_many, too_many_of_peer, no_tls, malformed, head_too_large,"
    " slow.",
    ["why"],
)
MAX_HEAD = 2**16  # octets of the request line and the headers
MAX_FIELDS = 100  # headers
HEAD_TIME = 10.0  # seconds for the head of a request
BODY_TIME = 30.0  # seconds for a body, also one that nobody wants
READ_TIME = 30.0  # seconds for a client to take in READ_LEAST of an answer
READ_LEAST = 2**15  # octets


@dataclass(frozen=True, slots=True)
class Door:
    """Who may come in."""

    slots: Slots
    trusted: Collection[IPv4Network | IPv6Network]

    def peer_at(self, client: tuple[str, int] | None) -> Peer:
        """Return who connected from *client*; None: over a Unix socket."""
        return Peer.local() if client is None else Peer.at(client[0], self.trusted)


class Protocol(HttpToolsProtocol):
    """A connection; *peer* has a slot already, where it is given."""

    def __init__(self, *args: Any, door: Door, peer: Peer | None = None, **named: Any) -> None:
        super().__init__(*args, **named)
        self._door = door
        self._peer = peer  # who holds a slot
        self._is_in_head = False
        self._begins = False  # a request, with the octets that have just come
        self._size = 0  # octets that have just come
        self._before = 0  # octets of an unfinished head, without those that it began in
        self._due = inf  # when what is being read must be there, by the monotonic clock
        self._unread = (0, inf)  # octets of answers that the client has not taken; since when

    def connection_made(self, transport: Any) -> None:
        """Give the client a slot, or send it away."""
        super().connection_made(transport)
        peer = self._peer or self._door.peer_at(self.client)
        self.client = self.client or ("unix", 0)
        self._due = monotonic() + HEAD_TIME
        if self._peer is None and (why := self._door.slots.take(peer)):
            self._refuse(503, why)
            return
        self._peer = peer

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the slot back."""
        super().connection_lost(exc)
        if self._peer is not None:
            self._door.slots.give_back(self._peer)
            self._peer = None

    def data_received(self, data: bytes) -> None:
        """Read on."""
        self._begins = False
        self._size = len(data)
        if self._due == inf:
            self._due = monotonic() + HEAD_TIME  # also for what never becomes a request
        super().data_received(data)
        if self._is_in_head and not self._begins:
            self._before += self._size
            if self._before > MAX_HEAD:
                self._refuse(431, "head_too_large")

    def on_message_begin(self) -> None:
        """Begin with a request."""
        super().on_message_begin()
        self._is_in_head = self._begins = True
        self._before = 0
        self._due = monotonic() + HEAD_TIME

    def on_headers_complete(self) -> None:
        """Start with the answer. Raises ValueError where the head is too large."""
        if self._is_too_large():
            raise ValueError("head too large")
        self._is_in_head = False
        self._due = monotonic() + BODY_TIME
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End with a request; its answer may still be on its way."""
        self._due = inf
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what was sent, and close."""
        if self._is_in_head and self._is_too_large():
            self._refuse(431, "head_too_large")
        else:
            self._refuse(400, "malformed")

    def sweep(self, now: float) -> None:
        """Close the connection where the client is too slow at *now*, by the monotonic clock."""
        if now > self._due and not (self._is_in_head and self._is_answering()):
            self._abort()
        size = self.transport.get_write_buffer_size()
        before, since = self._unread
        if not size or since == inf or size <= before - READ_LEAST:
            self._unread = (size, now if size else inf)
        elif now - since > READ_TIME:
            self._abort()

    def _is_answering(self) -> bool:
        cycle: Any = self.cycle  # None before the first request
        return cycle is not None and not cycle.response_complete

    def _is_too_large(self) -> bool:
        if len(self.headers) > MAX_FIELDS:
            return True
        if self._begins and self._size <= MAX_HEAD:  # nearly always: nothing to add up
            return False
        lengths = (len(name) + len(value) for name, value in self.headers)
        return len(self.url) + sum(lengths) > MAX_HEAD

    def _abort(self) -> None:
        REFUSED.labels("slow").inc()
        self._due = inf
        self.transport.abort()

    def _refuse(self, status: int, why: str) -> None:
        REFUSED.labels(why).inc()
        answer = STATUS_LINE[status] + b"content-length: 0\r\nconnection: close\r\n\r\n"
        self.transport.write(answer)
        self.transport.close()
