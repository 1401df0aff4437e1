"""Clients on the network: who they are, how many may be there, how TLS is offered to them."""

import re
import ssl
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, PlainValidator

from mtabounce.config.values import Words, found
from mtabounce.errors import ConfigError

KEPT_FREE = 10  # one slot in so many is for trusted peers alone: strangers cannot lock them out
CROWDED = 0.8  # of the slots: from here on a client has less time


def _network(value: object) -> IPv4Network | IPv6Network:
    try:
        return ip_network(str(value))
    except ValueError as error:
        # "has host bits set" is worth telling; the class's own name for the value is not.
        raise ValueError(
            f'expected an address or a network such as "192.0.2.0/24": {error}'
        ) from None


def _mode(value: object) -> int:
    # A bare number is refused: whether 660 or 0o660 is meant cannot be told.
    if isinstance(value, str) and re.fullmatch("0?[0-7]{3}", value):
        return int(value, 8)
    raise ValueError(f'expected permissions such as "0660", found {found(value)}')


Network = Annotated[IPv4Network | IPv6Network, PlainValidator(_network), Words("network")]
Mode = Annotated[int, BeforeValidator(_mode), Words("permissions", lambda mode: f'"{mode:04o}"')]


def network_of(host: str) -> str:
    """Return what limits take *host* for: its address, or its /64 (IPv6); else *host* itself."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host[:100]
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return str(address.ipv4_mapped)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, 64), strict=False))
    return str(address)


@dataclass(frozen=True, slots=True)
class Peer:
    """Who connected."""

    address: str  # IP address, or "unix"
    network: str  # what the limit on connections counts: the address, or its /64
    trusted: bool

    @classmethod
    def local(cls) -> "Peer":
        """Return the peer on a Unix socket: whom the file's permissions let in is trusted."""
        return cls("unix", "unix", trusted=True)

    @classmethod
    def at(cls, host: str, trusted: Iterable[IPv4Network | IPv6Network]) -> "Peer":
        """Return the peer at the IP address *host*."""
        address = ip_address(host.partition("%")[0])
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        is_trusted = any(address in one for one in trusted)
        return cls(str(address), network_of(str(address)), is_trusted)


@dataclass(slots=True)
class Slots:
    """The connections that are open, and how many may be."""

    total: int
    per_network: int  # not for trusted peers
    used: Counter[str] = field(default_factory=Counter)
    taken: int = 0

    def take(self, peer: Peer) -> str:
        """Take a slot for *peer*; return "" or, where it gets none, why not."""
        kept_free = 0 if peer.trusted else self.total // KEPT_FREE
        if self.taken >= self.total - kept_free:
            return "too_many"
        if not peer.trusted and self.used[peer.network] >= self.per_network:
            return "too_many_of_peer"
        self.taken += 1
        self.used[peer.network] += 1
        return ""

    def give_back(self, peer: Peer) -> None:
        """Give back the slot of *peer*."""
        self.taken -= 1
        self.used[peer.network] -= 1
        if not self.used[peer.network]:
            del self.used[peer.network]

    @property
    def crowded(self) -> bool:
        """Whether so few slots are left that slow clients must hurry."""
        return self.taken > CROWDED * self.total


def tls_context(section: str, certificate: Path, key: Path | None) -> ssl.SSLContext:
    """
    Return what offers TLS 1.2 and newer with *certificate* and *key*.

    Raises ConfigError, which names *section*, where they cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:  # ssl.SSLError is one, too
        raise ConfigError(
            f"[{section}] tls_certificate_file: {certificate} with {key}: {error.strerror or error}"
        ) from error
    return context
