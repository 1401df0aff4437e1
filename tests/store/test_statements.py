"""Every statement in sql/ is known to PostgreSQL as the schema stands."""

import re
from collections.abc import Iterator
from importlib.resources import files

import psycopg
import pytest

from mtabounce.store import statements

FILES = sorted(
    path.name.removesuffix(".sql")
    for path in files("mtabounce.store").joinpath("sql").iterdir()
    if path.name.endswith(".sql") and path.name != "schema.sql"
)
STATEMENTS = [(name, key) for name in FILES for key in statements(name)]
PARAMETER = re.compile(r"%\((\w+)\)[sbt]")
EXPLAINED = re.compile(r"(SELECT|INSERT|UPDATE|DELETE|MERGE|VALUES|WITH)\b", re.IGNORECASE)


def without_comments(statement: str) -> str:
    return re.sub(r"^\s*--.*\n", "", statement, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def conn(embedded, administer, template) -> Iterator[psycopg.Connection]:
    administer.execute(f"CREATE DATABASE statements TEMPLATE {template}")
    url = embedded.url.replace("/mtabounce?", "/statements?")
    with psycopg.connect(url, options="-c search_path=mtabounce,public") as conn:
        yield conn


@pytest.mark.parametrize(("name", "key"), STATEMENTS)
def test_statement_can_be_planned(name, key, conn):
    statement = without_comments(statements(name)[key])
    nothing = dict.fromkeys(PARAMETER.findall(statement))
    explain = "EXPLAIN " if EXPLAINED.match(statement) else ""

    with conn.transaction(force_rollback=True):
        conn.execute(explain + statement, nothing or None)


def test_statement_names_come_from_the_lines_above_them():
    assert list(statements("partitions")) == ["ensure_partitions"]
    assert "SELECT mtabounce.ensure_partitions" in statements("partitions")["ensure_partitions"]


def test_file_that_is_not_there_is_an_error():
    with pytest.raises(FileNotFoundError):
        statements("no_such_file")
