"""Real processes that own, use and kill the embedded PostgreSQL."""

import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import psutil
import psycopg

from mtabounce.store import DatabaseSettings, StateSettings
from mtabounce.store.embedded import database

OWNER = """
import sys
from pathlib import Path
from mtabounce.store.embedded import Embedded
with Embedded(Path(sys.argv[1])) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""
COMMAND = """
import sys
from pathlib import Path
from mtabounce.store import DatabaseSettings, StateSettings
from mtabounce.store.embedded import database
with database(DatabaseSettings(), StateSettings(directory=Path(sys.argv[1]))) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


def servers(state: Path) -> list[psutil.Process]:
    """Return the servers that run on the data in *state*."""
    data = str(state / "postgres" / "data")
    return [one for one in psutil.process_iter(["cmdline"]) if data in (one.info["cmdline"] or [])]


def eventually(condition: Callable[[], object], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


def ready(process: subprocess.Popen[str]) -> str:
    url = process.stdout.readline().strip()
    assert url, process.stderr.read()
    return url


def ask(url: str, query: str) -> object:
    with psycopg.connect(url, autocommit=True) as conn:
        return conn.execute(query).fetchone()[0]


def can_ask(url: str) -> bool:
    try:
        return ask(url, "SELECT true")
    except psycopg.OperationalError:
        return False


def remember(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("DROP TABLE IF EXISTS kept")
        conn.execute("CREATE TABLE kept AS SELECT 1 AS kept")


def error_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout.readline() == ""
    return process.stderr.read().strip().splitlines()[-1]


def used(state: Path) -> AbstractContextManager[str]:
    return database(DatabaseSettings(), StateSettings(directory=state))
