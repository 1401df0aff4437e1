"""What one client may take of the receiver: time, and patience."""

from dataclasses import dataclass, field
from time import monotonic

MIN_RATE = 500  # bytes/s of DATA, as Postfix's smtpd_min_data_rate
CROWDED_IDLE = 10.0  # seconds, as Postfix under overload


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
