"""Starting programs, waiting for them, and ending them: by pid, and only our own."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

LOOPBACK = "127.0.0.1"
UNPACKED = Path(__file__).parents[2] / ".cache" / "exim" / "usr" / "sbin"  # by scripts/test-setup


def find(program: str) -> Path:
    """Return where the mail server *program* is; skip the test where it cannot be run."""
    if os.geteuid() != 0:
        pytest.skip("mail servers switch users: run the tests as root")
    path = f"{UNPACKED}:{os.environ['PATH']}:/usr/sbin"
    if (found := shutil.which(program, path=path)) is None:
        pytest.skip(f"{program} is not here: make test, as root on Debian, sees to it")
    return Path(found)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0


def wait_until(
    ready: Callable[[], object],
    what: str,
    *,
    timeout: float = 60,
    details: Callable[[], str] = str,
) -> None:
    """Poll *ready*; fail with *what*, and *details* such as a log, where it takes too long."""
    deadline = time.monotonic() + timeout
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout:g} s: {what}\n{details()}")
        time.sleep(0.02)


def run(*argv: object) -> str:
    """Run a command to its end and return what it printed, through a file: daemons hold pipes."""
    with tempfile.TemporaryFile("w+") as output:
        command = [str(word) for word in argv]
        status = subprocess.call(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        output.seek(0)
        printed = output.read()
    assert status == 0, f"{command} exited {status}: {printed}"
    return printed


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def descendants(pid: int) -> list[int]:
    """Return the children of the process *pid*, theirs, and so on."""
    children: list[int] = []
    with suppress(OSError):  # it ended meanwhile
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            children += map(int, task.read_text().split())
    return children + [one for child in children for one in descendants(child)]


def end(pid: int) -> None:
    """Ask the process *pid* to stop; kill it where it has not after 10 seconds."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, TimeoutError):
            os.kill(pid, number)
            wait_until(lambda: not is_alive(pid), f"process {pid} ends", timeout=10)
            return


@contextmanager
def shared_folder() -> Iterator[Path]:
    """Make a folder that other users can walk into, as the mail servers' own users must."""
    folder = Path(tempfile.mkdtemp(prefix="mtabounce-live-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
