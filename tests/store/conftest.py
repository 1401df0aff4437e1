"""What the tests of the embedded PostgreSQL share."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.store.processes import servers


@pytest.fixture
def state(short_path) -> Iterator[Path]:
    """A state directory of this test's own, not yet made."""
    path = Path(tempfile.mkdtemp(dir=short_path))
    path.chmod(0o711)
    yield path / "state"
    for process in servers(path / "state"):
        process.kill()
    shutil.rmtree(path, ignore_errors=True)  # at once: the disk never sees most of it


@pytest.fixture
def run(state) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a script on the state directory; it ends when its input does."""
    started = []

    def start(script: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(state)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        with process:
            pass
