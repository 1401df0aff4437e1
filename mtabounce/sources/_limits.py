"""What one client may take of the receiver: connections, time, and patience."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from time import monotonic

from mtabounce.network import network_of

Network = IPv4Network | IPv6Network

MIN_RATE = 500  # bytes/s of DATA, as Postfix's smtpd_min_data_rate
KEPT_FREE = 10  # one slot in so many is for trusted peers alone: strangers cannot lock them out
CROWDED = 0.8  # of the slots: from here on a client has less time
CROWDED_IDLE = 10.0  # seconds, as Postfix under overload


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
    def at(cls, host: str, trusted: Iterable[Network]) -> "Peer":
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


@dataclass(slots=True)
class Pace:
    """
    Tells a slow client from a stalled or hostile one.

    Only what brings a mail nearer counts as progress: NOOP, RSET and refused commands do not.
    """

    mail_at: float = field(default_factory=monotonic)  # connected, or the last mail accepted
    step_at: float = field(default_factory=monotonic)  # the last command that counts
    data_bytes: int | None = None  # None: not in DATA

    def step(self) -> None:
        """Count a command that brings the mail nearer."""
        self.step_at = monotonic()

    def begin_data(self) -> None:
        """Count from here the bytes of the mail."""
        self.step()
        self.data_bytes = 0

    def end_data(self) -> None:
        """Begin anew: the client is done with one mail."""
        self.mail_at = self.step_at = monotonic()
        self.data_bytes = None

    def is_overdue(self, idle: float, transaction: float) -> bool:
        """Return whether the client took longer than *idle* or *transaction* allow (seconds)."""
        now = monotonic()
        owed = now - self.step_at - idle
        if self.data_bytes is not None:
            owed -= self.data_bytes / MIN_RATE
        return owed > 0 or now - self.mail_at > transaction
