"""``mtabounce db``, run as users run it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mtabounce.store.embedded import Embedded
from mtabounce.store.version import migration_names

NEEDED = migration_names()[-1].partition("_")[0]


@pytest.fixture
def db(state, tmp_path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``mtabounce db`` with the embedded database, or with the one of *url*."""

    def run(*arguments: str, url: str = "") -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "MTABOUNCE_STATE__DIRECTORY": str(state)}
        if url:
            environment["MTABOUNCE_DATABASE__URL"] = url
        return subprocess.run(
            [sys.executable, "-m", "mtabounce", "db", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={"PYTHONPATH": str(Path(__file__).parents[2]), **environment},
        )

    return run


def test_embedded_database_is_made_once_and_then_found(db, state):
    first, second = db("init"), db("init")

    assert first.stdout == f"made: the database at {state}/postgres/socket\n"
    assert second.stdout == f"is there: the database at {state}/postgres/socket\n"
    assert (first.returncode, second.returncode) == (0, 0)


def test_empty_database_is_migrated_and_says_so(db, empty_database_url):
    before = db("status", url=empty_database_url)
    migrated = db("migrate", url=empty_database_url)
    again = db("migrate", url=empty_database_url)
    after = db("status", "--json", url=empty_database_url)

    assert before.returncode == 1
    assert f"none, needed {NEEDED}: empty" in before.stdout
    assert migrated.stdout == "".join(f"applied {name}\n" for name in migration_names())
    assert again.stdout == "nothing to apply\n"
    assert after.returncode == 0
    assert json.loads(after.stdout)["state"] == "current"
    assert json.loads(after.stdout)["applied"] == migration_names()


def test_url_of_the_running_database_opens_psql(db, state):
    psql = shutil.which("psql")
    if psql is None:
        pytest.skip("no psql is installed")

    with Embedded(state):
        url = db("url").stdout.strip()
        done = subprocess.run([psql, url, "-Atc", "SELECT 1"], capture_output=True, text=True)

    assert done.stdout == "1\n"


def test_url_of_a_database_that_does_not_run_is_refused_with_the_way_to_start_it(db, state):
    done = db("url")

    assert done.returncode == os.EX_UNAVAILABLE
    assert done.stderr == (
        f"mtabounce: no embedded PostgreSQL runs in {state}: start it with `mtabounce serve`\n"
    )


def test_url_that_is_configured_is_printed_as_it_is(db):
    assert (
        db("url", url="postgresql://db.example.org/x").stdout == "postgresql://db.example.org/x\n"
    )


def test_database_that_is_away_is_one_line(db):
    done = db("migrate", url="postgresql://u:secret@127.0.0.1:1/x")

    assert done.returncode == os.EX_UNAVAILABLE
    assert done.stderr == (
        "mtabounce: no connection to PostgreSQL at 127.0.0.1:1: Connection refused"
        " (is it running, and is [database] url right?)\n"
    )
