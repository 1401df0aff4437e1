"""A database gets the schema whole, whoever else tries, and whatever is killed meanwhile."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlparse

from mtabounce.errors import ConfigError, SchemaMismatch, StoreUnavailable
from mtabounce.store.migrate import migrate, prepare
from mtabounce.store.schema import dump_schema
from mtabounce.store.version import (
    SchemaStatus,
    check,
    migration_names,
    migrations_folder,
    refuse_mismatch,
    status,
)

FIRST, NEWEST = migration_names()[0], migration_names()[-1]
NEEDED = NEWEST.partition("_")[0]
MIGRATE = """
import sys
from pathlib import Path
from mtabounce.store.migrate import migrate
print(migrate(sys.argv[1], Path(sys.argv[2]) if sys.argv[2:] else None))
"""


@pytest.fixture
def other(empty_database_url) -> Iterator[psycopg.Connection]:
    with psycopg.connect(empty_database_url, autocommit=True) as conn:
        yield conn


def run(*arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", MIGRATE, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def forge(conn: psycopg.Connection, migration: str) -> None:
    conn.execute(
        "INSERT INTO mtabounce.migrations VALUES (md5(%s), %s, now())", [migration, migration]
    )


def test_empty_database_is_migrated_at_the_start(empty_database_url):
    assert status(empty_database_url).word == "empty"

    assert prepare(empty_database_url) == migration_names()

    check(empty_database_url)
    assert status(empty_database_url).version == NEEDED


def test_second_migration_finds_nothing_to_do(database_url):
    assert migrate(database_url) == []
    assert prepare(database_url) == []


def test_empty_database_is_refused_where_it_may_not_be_migrated(empty_database_url):
    with pytest.raises(SchemaMismatch) as refusal:
        check(empty_database_url)

    assert str(refusal.value).endswith(
        f"is empty, and this program needs {NEEDED}: run `mtabounce db migrate`"
    )
    assert status(empty_database_url).word == "empty"


def test_older_database_is_refused_in_one_line():
    found = SchemaStatus(
        applied=("0001_initial",), pending=("0002_a", "0003_b"), unknown=(), needed="0003"
    )

    with pytest.raises(SchemaMismatch) as refusal:
        refuse_mismatch("postgresql://u:secret@db.example.org/x", found)

    assert str(refusal.value) == (
        "the database at db.example.org:5432 is at 0001, and this program needs 0003:"
        " run `mtabounce db migrate`"
    )


def test_migrations_that_came_later_are_applied_to_an_older_database(empty_database_url, tmp_path):
    grown = folder_with(tmp_path, {"0000_first": "CREATE TABLE mtabounce.first ();"})
    migrate(empty_database_url, grown)

    (tmp_path / "0001_second.sql").write_text("CREATE TABLE mtabounce.second ();")

    assert migrate(empty_database_url, grown) == ["0001_second"]


def test_newer_database_is_refused_in_one_line_by_all(database_url):
    with psycopg.connect(database_url) as conn:
        forge(conn, "9999_future")

    for refused in (check, prepare, migrate):
        with pytest.raises(SchemaMismatch) as refusal:
            refused(database_url)
        assert str(refusal.value).endswith(
            f"was made by a newer mtabounce (9999); this one knows {NEEDED}: upgrade the program"
        )
        assert "\n" not in str(refusal.value)


def test_starts_at_the_same_time_migrate_once(empty_database_url):
    starts = [run(empty_database_url) for _ in range(4)]

    said = sorted(start.communicate()[0].decode().strip() for start in starts)

    assert said == [str(migration_names()), "[]", "[]", "[]"]


def test_migration_that_fails_leaves_nothing(empty_database_url, other, tmp_path):
    folder = folder_with(tmp_path, {"0001_broken": "CREATE TABLE public.half ();\nSELECT 1 / 0;\n"})

    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate(empty_database_url, folder)

    assert other.execute("SELECT to_regclass('public.half')").fetchone() == (None,)
    (tmp_path / "0001_broken.sql").write_text("CREATE TABLE public.whole ();")
    assert migrate(empty_database_url, folder) == ["0001_broken"]


def test_migration_killed_at_any_statement_is_done_again(embedded, administer, tmp_path):
    text = (migrations_folder() / f"{FIRST}.sql").read_text()
    statements = [one for one in sqlparse.split(text) if one.strip()]
    stops = {0, 1, len(statements) // 3, len(statements) // 2, len(statements) - 1}
    for stop in sorted(stops):
        paused = [*statements[: stop + 1], "SELECT pg_sleep(60);", *statements[stop + 1 :]]
        folder = folder_with(tmp_path / str(stop), {FIRST: "\n".join(paused)})
        url = fresh(embedded, administer, f"killed_{stop}")

        kill_asleep(url, folder, administer, f"killed_{stop}")

        assert status(url).word == "empty"
        assert prepare(url) == migration_names()
        administer.execute(f"DROP DATABASE killed_{stop} WITH (FORCE)")


def test_empty_database_is_still_empty_after_a_kill_between_two_migrations(
    embedded, administer, tmp_path
):
    first = (migrations_folder() / f"{FIRST}.sql").read_text()
    folder = folder_with(tmp_path, {FIRST: first, "0002_slow": "SELECT pg_sleep(60);"})
    url = fresh(embedded, administer, "killed_between")

    kill_asleep(url, folder, administer, "killed_between")

    assert status(url).word == "empty"  # not older: nothing would mend that by itself
    assert prepare(url) == migration_names()
    administer.execute("DROP DATABASE killed_between WITH (FORCE)")


def test_schema_is_the_sum_of_the_migrations(database_url):
    committed = (migrations_folder().parent / "schema.sql").read_text()

    assert dump_schema(database_url) == committed, "write it anew with: make docs"


def test_user_who_may_not_migrate_is_told_so_in_one_line(empty_database_url, other):
    other.execute("CREATE ROLE may_nothing LOGIN")
    try:
        with pytest.raises(ConfigError, match="refuses to be migrated by this user") as refusal:
            migrate(empty_database_url.replace("mtabounce@", "may_nothing@"))
        assert "\n" not in str(refusal.value)
    finally:
        other.execute("DROP ROLE may_nothing")


def test_database_that_is_away_is_told_in_one_line():
    with pytest.raises(StoreUnavailable) as trouble:
        prepare("postgresql://u:secret@127.0.0.1:1/x")

    assert str(trouble.value) == (
        "no connection to PostgreSQL at 127.0.0.1:1: Connection refused"
        " (is it running, and is [database] url right?)"
    )


def folder_with(path: Path, migrations: dict[str, str]) -> Path:
    path.mkdir(exist_ok=True)
    for name, text in migrations.items():
        (path / f"{name}.sql").write_text(text)
    return path


def fresh(embedded, administer: psycopg.Connection, name: str) -> str:
    administer.execute(f"CREATE DATABASE {name}")
    return embedded.url.replace("/mtabounce?", f"/{name}?")


def kill_asleep(url: str, folder: Path, administer: psycopg.Connection, database: str) -> None:
    migration = run(url, folder)
    wait_for_sleep(administer, database)
    migration.kill()
    migration.communicate()
    administer.execute(  # its end notices the dead client only when the statement is done
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database]
    )


def wait_for_sleep(conn: psycopg.Connection, database: str) -> None:
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND wait_event = 'PgSleep'"
    for _ in range(1000):
        if conn.execute(query, [database]).fetchone() == (1,):
            return
        time.sleep(0.02)
    pytest.fail("the migration did not come to its pause")
