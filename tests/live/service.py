"""A real ``mtabounce serve``: its own state directory, embedded PostgreSQL, and free ports."""

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, LiteralString, Self
from urllib.error import URLError

import psycopg
from psycopg.rows import namedtuple_row

from tests.live.processes import LOOPBACK, descendants, free_port, run, wait_until

_CONFIG = """
[state]
directory = "{folder}/state"

[pipe]
socket_mode = "0666"

[http]
listen = "127.0.0.1:{http_port}"

[receiver]
listen = ["127.0.0.1:{port}"]
lmtp_listen = ["{lmtp}"]
socket_mode = "0666"
return_paths = ["@bounces.example.org"]
"""


class Service:
    """The service, within ``with``. It can be killed and started again in the meantime."""

    def __init__(self, folder: Path, logs: Sequence[Path] = (), more: str = "") -> None:
        self._logs = logs
        self._more = more
        self.port = free_port()
        self.lmtp = folder / "lmtp"
        self.http_port = free_port()
        self.folder = folder
        self.command = [sys.executable, "-m", "mtabounce", "--config", str(folder / "config.toml")]
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: psycopg.Connection[Any] | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        text = _CONFIG.format(
            folder=self.folder, port=self.port, http_port=self.http_port, lmtp=self.lmtp
        )
        text += "".join(f'[[log]]\npath = "{log}"\n' for log in self._logs)
        text += self._more
        (self.folder / "config.toml").write_text(text)
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._process is not None:
            self.stop()

    @property
    def address(self) -> tuple[str, int]:
        return LOOPBACK, self.port

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self.command, "serve"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            wait_until(self._is_ready, "mtabounce is ready", timeout=60, details=self.log)
        except BaseException:
            self.kill_all()
            raise

    def reload(self, more: str, said: str = "reloaded") -> None:
        """Put *more* at the end of its configuration, and wait until it *said* so."""
        path = self.folder / "config.toml"
        start, _, _ = path.read_text().partition(self._more)
        self._more = more
        path.write_text(start + more)
        before = self.log().count(said)
        self.hang_up()
        wait_until(lambda: self.log().count(said) > before, said, details=self.log)

    def hang_up(self) -> None:
        """Tell it to read its configuration again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """Ask it to stop, as systemd does."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End its main process as a crash would; the others must notice."""
        self._end(signal.SIGKILL)

    def kill_all(self) -> None:
        """End all its processes at once, PostgreSQL's too, as the loss of power would."""
        assert self._process is not None
        for pid in descendants(self._process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._end(signal.SIGKILL)

    def kill_postgres(self) -> None:
        """End the main process of its PostgreSQL as a crash would, once it is there."""
        wait_until(self._is_ready, "mtabounce is ready", details=self.log)
        wait_until(self._has_killed_postgres, "its PostgreSQL is killed", details=self.log)

    @contextmanager
    def without_postgres(self) -> Iterator[None]:
        """Let PostgreSQL hang for the time of the block, as a disk that does not answer."""
        postmaster = self._postmaster()
        os.kill(postmaster, signal.SIGSTOP)  # first: it starts no more
        stopped = [postmaster, *descendants(postmaster)]
        try:
            for pid in stopped:
                with suppress(ProcessLookupError):  # one that was just ending
                    os.kill(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in stopped:
                with suppress(ProcessLookupError):  # killed meanwhile
                    os.kill(pid, signal.SIGCONT)

    def run(self, *arguments: str) -> str:
        """Run a command of mtabounce, and return what it printed."""
        return run(*self.command, *arguments)

    def query(self, sql: LiteralString) -> Sequence[Any]:
        """Return the rows of *sql*, each a named tuple."""
        if self._connection is None or self._connection.closed:
            wait_until(self._is_ready, "mtabounce is ready again", details=self.log)
            url = self.run("db", "url").strip()
            self._connection = psycopg.connect(url, autocommit=True, row_factory=namedtuple_row)
        return self._connection.execute(sql).fetchall()

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def _has_killed_postgres(self) -> bool:
        try:
            os.kill(self._postmaster(), signal.SIGKILL)
        except ProcessLookupError:  # it is starting again just now
            return False
        return True

    def _postmaster(self) -> int:
        """Return its process id, as soon as it has one: it may be starting again just now."""
        file = self.folder / "state" / "postgres" / "data" / "postmaster.pid"
        found: list[str] = []

        def has_one() -> bool:
            with suppress(FileNotFoundError):
                found[:] = file.read_text().split()[:1]
            return bool(found)

        wait_until(has_one, "PostgreSQL is there", timeout=60, details=self.log)
        return int(found[0])

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"mtabounce serve ended: {self.log()}"
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{self.http_port}/readyz", timeout=5):
                return True
        except (URLError, OSError):
            return False

    def _end(self, number: int) -> None:
        assert self._process is not None
        if self._connection is not None:
            self._connection.close()
        self._process.send_signal(number)  # unless it has ended by itself
        self._process.wait(timeout=60)
        self._process = None
