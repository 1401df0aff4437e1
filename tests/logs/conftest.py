"""Logs as the tests write them, and reading them without a database."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mtabounce.logs import Delivery, LogReader

LOGS = Path(__file__).parent.parent.parent / "fixtures" / "logs"
LATEST = datetime(2026, 11, 23, 12, tzinfo=UTC)

Read = Callable[..., list[Delivery]]


@pytest.fixture
def read() -> Read:
    """Deliveries of some lines, or bytes, read in one go."""

    def _read(*lines: str | bytes, **options) -> list[Delivery]:
        reader = LogReader(**{"latest": LATEST, "zone": UTC} | options)
        raw = b"".join(
            line if line.endswith(b"\n") else line + b"\n"
            for line in (one.encode() if isinstance(one, str) else one for one in lines)
        )
        return reader.read(raw).deliveries

    return _read
