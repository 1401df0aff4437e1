"""Lines as mail servers log them, and where the logs of real ones are."""

from datetime import UTC, datetime
from pathlib import Path

LOGS = Path(__file__).parent.parent.parent / "fixtures" / "logs"
LATEST = datetime(2026, 11, 23, 12, tzinfo=UTC)  # when logs were last written to


def bounced(number: int, to: str = "") -> str:
    """Return the line of a delivery by Postfix that failed for good."""
    return (
        f"Nov 23 03:12:17 mail postfix/smtp[77]: {0x4A0000000 + number:X}:"
        f" to=<{to or f'u{number}@x.example'}>, relay=mx[192.0.2.1]:25, delay=1, delays=0/0/0/1,"
        " dsn=5.1.1, status=bounced"
        " (host mx[192.0.2.1] said: 550 5.1.1 no (in reply to RCPT TO command))\n"
    )
