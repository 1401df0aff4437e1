"""A database that answers, but cannot write, is found out."""

import psycopg
import pytest

from mtabounce.errors import StoreUnavailable
from mtabounce.store.connection import connect_sync
from mtabounce.store.health import PROBE
from mtabounce.store.unavailable import unavailable


@pytest.fixture
def conn(database_url):
    with connect_sync(database_url, application_name="test") as conn:
        yield conn


def test_probe_of_a_database_that_is_well_leaves_no_trace(conn):
    conn.execute(PROBE)

    assert conn.execute("SHOW work_mem").fetchone() != ("64kB",)
    assert conn.execute("SELECT count(*) FROM mtabounce.inputs").fetchone() == (0,)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("default_transaction_read_only = on", "in a read-only transaction"),
        # What a full disk does to the same write, without filling one.
        ("temp_file_limit = 0", "temporary file size exceeds"),
    ],
)
def test_database_that_cannot_write_is_found_out(conn, setting, says):
    conn.execute(f"SET {setting}")
    conn.execute("SELECT 1")

    with pytest.raises(StoreUnavailable, match=says), unavailable():
        conn.execute(PROBE)


def test_who_may_only_read_is_told_so(conn):
    conn.execute("SET ROLE mtabounce_read")

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute(PROBE)
