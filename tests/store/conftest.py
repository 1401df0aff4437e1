"""What the tests of the embedded PostgreSQL share."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest


@pytest.fixture
def state(short_path) -> Iterator[Path]:
    """A state directory of this test's own, not yet made."""
    path = Path(tempfile.mkdtemp(dir=short_path))
    path.chmod(0o711)
    yield path / "state"
    for process in servers(path / "state"):
        process.kill()


def servers(state: Path) -> list[psutil.Process]:
    """Return the servers that run on the data in *state*."""
    data = str(state / "postgres" / "data")
    return [one for one in psutil.process_iter(["cmdline"]) if data in (one.info["cmdline"] or [])]
