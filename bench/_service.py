"""Servers that a benchmark starts on this machine, and what mtabounce made of what it took."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

PATIENCE = 120.0  # seconds for a start: the first one makes a database


@dataclass(frozen=True)
class Server:
    """A running server."""

    name: str
    port: int
    pid: int


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def listens(port: int) -> bool:
    """Tell whether something listens on *port*."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@contextmanager
def running(
    name: str,
    port: int,
    command: list[str],
    is_up: Callable[[int], bool] = listens,
    env: dict[str, str] | None = None,
) -> Iterator[Server]:
    """Run *command* until the end of the block; enter it once *is_up* holds for *port*."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=env)
    try:
        deadline = time.monotonic() + PATIENCE
        while not is_up(port):
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{name} did not start: {' '.join(command)}")
            time.sleep(0.05)
        yield Server(name, port, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def database(command: list[str], config: Path) -> psycopg.Connection:
    """Return a connection to the database of the mtabounce that runs by *config*."""
    ask = [*command, "--config", str(config), "db", "url"]
    url = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    return psycopg.connect(url, autocommit=True)


def count_inputs(conn: psycopg.Connection, *states: str) -> int:
    """Return how many inputs are in one of *states*."""
    query = "SELECT count(*) FROM mtabounce.inputs WHERE state = ANY (%s)"
    row = conn.execute(query, [list(states)]).fetchone()
    return int(row[0]) if row else 0


def settle(conn: psycopg.Connection) -> None:
    """Wait until the workers have done all there is."""
    while count_inputs(conn, "pending"):
        time.sleep(0.1)
