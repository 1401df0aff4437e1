"""What all tests share: a real PostgreSQL, and that in CI a skipped test is a failed one."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from mtabounce.store.connection import Connect, connect
from mtabounce.store.embedded import Embedded
from mtabounce.store.migrate import migrate

IN_CI = bool(os.environ.get("CI"))
# How long an example takes says more of the machine than of us. In CI the examples are the same
# each time, so that what fails there is what was changed; elsewhere new ones are tried.
settings.register_profile(
    "here", deadline=None, derandomize=IN_CI, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("here")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and CI may skip nothing: {reason_of(report)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if IN_CI and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} was skipped in CI: {reason_of(report)}"
    return report


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    place = report.longrepr
    return place[2] if isinstance(place, tuple) else str(place)


@pytest.fixture(scope="session")
def short_path() -> Iterator[Path]:
    """A folder that PostgreSQL's user can enter, which pytest's own are not when root runs it."""
    path = Path(tempfile.mkdtemp(prefix="mtabounce-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def embedded(short_path: Path) -> Iterator[Embedded]:
    """A running PostgreSQL, the same for all tests, without the syncs that only a crash needs."""
    fast = {"fsync": "off", "full_page_writes": "off", "max_connections": "100"}
    with Embedded(short_path / "shared", settings=fast) as server:
        yield server


@pytest.fixture(scope="session")
def administer(embedded: Embedded) -> Iterator[psycopg.Connection]:
    """A connection on which databases can be made and dropped."""
    with psycopg.connect(embedded.url, dbname="postgres", autocommit=True) as conn:
        yield conn


@pytest.fixture(scope="session")
def template(embedded: Embedded, administer: psycopg.Connection) -> str:
    """The name of a migrated database that nobody is connected to."""
    administer.execute("CREATE DATABASE template_migrated")
    migrate(url_of(embedded, "template_migrated"))
    return "template_migrated"


_numbers = count(1)


@pytest.fixture
def database_url(
    embedded: Embedded, administer: psycopg.Connection, template: str
) -> Iterator[str]:
    """The URL of a fresh, migrated database of this test's own."""
    name = f"test_{next(_numbers)}"
    administer.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield url_of(embedded, name)
    administer.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty_database_url(embedded: Embedded, administer: psycopg.Connection) -> Iterator[str]:
    """The URL of a fresh database without our schema."""
    name = f"test_{next(_numbers)}"
    administer.execute(f"CREATE DATABASE {name}")
    yield url_of(embedded, name)
    administer.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def connecting(database_url: str) -> Connect:
    """What connects to that database, as the daemon does."""
    return partial(connect, database_url, application_name="mtabounce test")


@pytest.fixture
async def conn(connecting: Connect) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """Such a connection."""
    async with await connecting() as conn:
        yield conn


@pytest.fixture
def secret(tmp_path: Path) -> Callable[..., str]:
    """Writes a secret into a file that nobody else may read, and returns its path."""

    def write(text: str, name: str = "secret") -> str:
        path = tmp_path / name
        path.write_text(text)
        path.chmod(0o600)
        return str(path)

    return write


def url_of(embedded: Embedded, database: str) -> str:
    return embedded.url.replace("/mtabounce?", f"/{database}?")
