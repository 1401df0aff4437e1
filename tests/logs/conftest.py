"""Logs as the tests write them, and reading them without a database."""

from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from mtabounce.cli import mtabounce
from mtabounce.logs import Delivery, LogReader

from .lines import LATEST
from .processes import Log

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


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the log is that the configuration names."""
    return tmp_path / "mail.log"


@pytest.fixture
def log(tmp_path: Path) -> Log:
    """A log in a folder of its own, for a tailer that is a process."""
    folder = tmp_path / "log"
    folder.mkdir()
    return Log(folder / "mail.log")


@pytest.fixture
def config(tmp_path: Path, path: Path, database_url: str) -> Path:
    """A configuration with one log."""
    written = tmp_path / "mtabounce.toml"
    written.write_text(
        f'[database]\nurl = "{database_url}"\n[[log]]\npath = "{path}"\n'
        'host = "mail"\ntimezone = "UTC"\n'
    )
    return written


@pytest.fixture
def run(config: Path) -> Callable[..., str]:
    """Run a command, which must succeed, and return what it says."""

    def _run(*args: object) -> str:
        result = CliRunner().invoke(mtabounce, ["--config", str(config), *map(str, args)])
        assert result.exit_code == 0, result.output
        return result.output

    return _run


@pytest.fixture
def query(database_url: str) -> Callable[[str], list[tuple[Any, ...]]]:
    """Ask the database."""

    def _query(text: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(database_url, autocommit=True) as conn:
            return conn.execute(text).fetchall()

    return _query
