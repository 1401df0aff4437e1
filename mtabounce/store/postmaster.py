"""The running server: started as our child, started again when it dies, gone when we are."""

import logging
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic

import psutil

from mtabounce.errors import StoreUnavailable
from mtabounce.store.cluster import Cluster
from mtabounce.store.state import give_to_owner

log = logging.getLogger(__name__)

_SETTINGS = {
    "listen_addresses": "",
    "port": "5432",  # of the socket's name
    "shared_buffers": "32MB",
    "max_connections": "50",
    "log_line_prefix": "%m [%p] ",
}
_LOG_LIMIT = 10_000_000  # bytes; then it becomes postgres.log.1
_PATIENCE = 60.0  # seconds for the remains of a killed server to go
# Seconds for each; with the daemon's own 10 s less than systemd's TimeoutStopSec in contrib/.
_SIGNALS = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, None))
_RESTART_PAUSES = (0.1, 5.0)  # seconds: first, and at most


class Postmaster:
    """
    One server on the data of *cluster*. Whoever makes one holds the lock of its state.

    A thread starts the process and waits for its end: the kernel ends a child whose parent
    *thread* dies (PR_SET_PDEATHSIG), so that it must be one that lives as long as we do.
    """

    def __init__(self, cluster: Cluster, settings: Mapping[str, str]) -> None:
        self._cluster = cluster
        self._settings = {**_SETTINGS, **settings}
        self._process: psutil.Popen | None = None
        self._starting = Lock()  # held while a process is started, or all are told to stop
        self._stopping = Event()
        self._said_before = 0  # bytes of the log that earlier processes wrote
        self._was_ready = False
        self._failure = ""  # why the first start came to nothing
        self._thread = Thread(target=self._keep, name="postmaster", daemon=True)

    def start(self) -> None:
        """
        Return when the server takes connections, however long its recovery takes.

        Raises StoreUnavailable where it does not start.
        """
        self._thread.start()
        begun = said = monotonic()
        while not self._is_ready():
            if not self._thread.is_alive():
                raise StoreUnavailable(
                    f"embedded PostgreSQL does not start: {self._failure} (see {self._cluster.log})"
                )
            if monotonic() - said > 5:
                said = monotonic()
                log.info(
                    "PostgreSQL is still starting after %.0f s: %s", said - begun, self._said()
                )
            self._thread.join(0.01)
        self._was_ready = True

    def stop(self) -> None:
        """Return when the server is gone: fast, without mercy after some time."""
        with self._starting:
            self._stopping.set()
        if self._process is not None:
            _end(self._process, self._has_ended)
        self._thread.join()

    def _has_ended(self, seconds: float | None) -> bool:
        # The thread reaps the process: two who wait for one child disturb each other.
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _keep(self) -> None:
        first, longest = _RESTART_PAUSES
        pause, begun = first, monotonic()
        while not self._stopping.is_set():
            started = monotonic()
            why = self._run_once()
            if self._stopping.is_set():
                return
            if self._was_ready:
                log.error("PostgreSQL ended (%s); starting it again", why)
            elif "still in use" not in why or monotonic() - begun > _PATIENCE:
                # Not the backends that a killed server left, which soon see that it is gone.
                self._failure = why
                return
            pause = first if monotonic() - started > longest else min(pause * 2, longest)
            self._stopping.wait(pause)

    def _run_once(self) -> str:
        """Start the server and wait until it has ended; return what it last said."""
        try:
            _clear_leftover(self._cluster)
            with self._starting:
                if self._stopping.is_set():
                    return ""
                self._process = self._spawn()
            self._wait()
            return self._said("FATAL")
        except OSError as error:  # no memory, no file, no process to be had: perhaps later
            return str(error)

    def _wait(self) -> None:
        """Wait until the process has ended, and bound its log meanwhile."""
        while self._process is not None:
            try:
                self._process.wait(timeout=60)
            except psutil.TimeoutExpired:
                self._said_before = min(self._said_before, _limit(self._cluster.log))
            else:
                return

    def _said(self, mark: str = "") -> str:
        """Return the last line with *mark* that this process wrote to the log, or the last."""
        if not self._cluster.log.exists():
            return "nothing yet"
        with self._cluster.log.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(self._said_before, end - 8192))
            lines = file.read().decode(errors="replace").splitlines()
        marked = [line for line in lines if mark in line]
        return (marked or lines or ["it said nothing"])[-1].strip()

    def _spawn(self) -> psutil.Popen:
        cluster = self._cluster
        folder = str(cluster.socket_directory).replace('"', '""')
        settings = {**self._settings, "unix_socket_directories": f'"{folder}"'}
        arguments = [word for item in settings.items() for word in ("-c", "=".join(item))]
        self._said_before = _limit(cluster.log)
        with cluster.log.open("ab") as output:
            give_to_owner(output, cluster.home)
            return psutil.Popen(
                cluster.command("postgres", "-D", str(cluster.data), *arguments),
                env=cluster.environment(),
                cwd=cluster.home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for us; we then stop it when all is done
            )

    def _is_ready(self) -> bool:
        process = self._process
        lines = _pid_file_lines(self._cluster)
        return (
            process is not None
            and len(lines) > 7
            and lines[0].strip() == str(process.pid)
            and lines[7].strip() == "ready"
        )


def is_running(cluster: Cluster) -> bool:
    """Tell whether a server that takes connections has the data of *cluster*."""
    lines = _pid_file_lines(cluster)
    ready = len(lines) > 7 and lines[7].strip() == "ready"
    return ready and _server(cluster, lines[0]) is not None


def _clear_leftover(cluster: Cluster) -> None:
    """End a server that was left by an owner who was killed, and forget one that is dead."""
    lines = _pid_file_lines(cluster)
    server = _server(cluster, lines[0]) if lines else None
    if server is not None:
        log.info("waiting for PostgreSQL process %d of an earlier run to end", server.pid)
        _end(server, partial(_has_ended, server))
    cluster.forget_server()


def _server(cluster: Cluster, pid: str) -> psutil.Process | None:
    """Return process *pid* if it is the server of *cluster*, not another by the same number."""
    try:
        process = psutil.Process(int(pid))
        return process if str(cluster.data) in process.cmdline() else None
    except (ValueError, psutil.Error):
        return None


def _end(process: psutil.Process, has_ended: Callable[[float | None], bool]) -> None:
    """Stop *process*: fast, then at once, then by force. *has_ended* waits so many seconds."""
    for number, patience in _SIGNALS:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
        if has_ended(patience):
            return
        log.warning("PostgreSQL does not end; sending it a stronger signal")


def _has_ended(process: psutil.Process, seconds: float | None) -> bool:
    with suppress(psutil.NoSuchProcess):
        try:
            process.wait(timeout=seconds)
        except psutil.TimeoutExpired:
            return False
    return True


def _pid_file_lines(cluster: Cluster) -> list[str]:
    """Return the lines of postmaster.pid: pid, data, start, port, socket, host, memory, status."""
    try:
        return cluster.pid_file.read_text(errors="replace").splitlines()
    except OSError:
        return []


def _limit(path: Path) -> int:
    """
    Keep at most two files of _LOG_LIMIT bytes; return the size of the first.

    The server goes on appending to that.
    """
    size = path.stat().st_size if path.exists() else 0
    if size <= _LOG_LIMIT:
        return size
    shutil.copyfile(path, path.with_name(f"{path.name}.1"))
    os.truncate(path, 0)
    return 0
