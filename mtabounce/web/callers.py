"""
Who calls the API: a user name and a token, by HTTP basic, ``token USER:TOKEN`` or Bearer.

Tokens are 256 random bits, which nobody guesses; but who tries anyway shall not keep the database
busy. So an address with many wrong ones waits, except for a token that was right before: behind
one proxy or NAT, whoever guesses does not lock out the others.
"""

import base64
import binascii
import secrets
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from prometheus_client import Counter
from psycopg import AsyncConnection

from mtabounce.network import network_of
from mtabounce.store import tokens
from mtabounce.store.tokens import Caller
from mtabounce.store.unavailable import unavailable
from mtabounce.web.request import Refused

FAILED_LOGINS = Counter(
    "mtabounce_http_failed_logins_total", "Requests to the API with a wrong token."
)
TRIES = 10  # wrong tokens that an address has in PERIOD
PERIOD = 60.0  # seconds
_REMEMBERED = 10_000  # addresses; tokens

Connected = Callable[[], AbstractAsyncContextManager[AsyncConnection[Any]]]


class NotKnown(Exception):
    """A caller without a right token; the words are listmonk's."""


@dataclass(slots=True)
class FailedLogins:
    """Wrong tokens, by address (IPv6: by /64)."""

    tries: OrderedDict[str, list[float]] = field(default_factory=OrderedDict)

    def wait_of(self, network: str) -> int:
        """Return how many seconds *network* has to wait; 0: it may try."""
        times = self.tries.get(network, [])
        left = times[0] + PERIOD - monotonic() if len(times) >= TRIES else 0
        return int(left) + 1 if left > 0 else 0

    def add(self, network: str) -> None:
        """Note a wrong token."""
        times = self.tries.pop(network, [])
        self.tries[network] = [*times, monotonic()][-TRIES:]
        if len(self.tries) > _REMEMBERED:
            self.tries.popitem(last=False)


class Callers:
    """Finds out who calls."""

    def __init__(self, connected: Connected) -> None:
        self._connected = connected
        self._failed = FailedLogins()
        self._were_right: OrderedDict[bytes, None] = OrderedDict()  # hashes

    async def identify(self, authorization: str, peer: str) -> Caller:
        """
        Return who *authorization* says that calls from the address *peer*.

        Raises NotKnown where it is nobody, Refused(429) where there were too many of them, and
        StoreUnavailable where nobody can tell now.
        """
        username, token = read_credentials(authorization)
        network, mark = network_of(peer), tokens.hash_of(token)
        wait = self._failed.wait_of(network)
        if wait and mark not in self._were_right:
            raise Refused(429, f"too many failed logins: wait {wait} s", retry_after=wait)
        with unavailable():
            async with self._connected() as conn:
                caller = await tokens.find(conn, token)
        if caller is None or not _is_named(caller, username):
            self._were_right.pop(mark, None)
            self._failed.add(network)
            FAILED_LOGINS.inc()
            raise NotKnown("invalid API credentials")
        self._remember(mark)
        return caller

    def _remember(self, mark: bytes) -> None:
        self._were_right[mark] = None
        self._were_right.move_to_end(mark)
        if len(self._were_right) > _REMEMBERED:
            self._were_right.popitem(last=False)


def _is_named(caller: Caller, username: str | None) -> bool:
    if username is None:
        return True
    return secrets.compare_digest(username.encode(errors="replace"), caller.username.encode())


def read_credentials(header: str) -> tuple[str | None, str]:
    """Return user name (None: not told) and token. Raises NotKnown where there are none."""
    kind, _, rest = header.strip().partition(" ")
    if not kind:
        raise NotKnown("invalid session")
    if kind.lower() == "bearer":
        return None, rest.strip()
    if kind.lower() == "basic":
        try:
            rest = base64.b64decode(rest.strip(), validate=True).decode()
        except (binascii.Error, ValueError):
            raise NotKnown("invalid API credentials") from None
    elif kind.lower() != "token":
        raise NotKnown("code=400, message=unknown Authorization scheme")
    username, _, token = rest.strip().partition(":")
    return username, token
