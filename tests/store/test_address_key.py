"""SQL knows an address by the key that it is stored by."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import connect

from mtabounce.address import normalize, recipient_key

LOCAL = st.text("abZ09.+'_-üÖéñжλ中", min_size=1, max_size=12)
LABEL = st.text("abXZ09-üÖßéñçжцΛς中文字日本", min_size=1, max_size=12)
WRITTEN = st.sampled_from(["{0}@{1}", " {0}@{1}\n", '"{0}"@{1}', "{0}@{1}."])
SAMPLES = [
    "Ann@Example.org", " ann@example.org\t", '"bob"@example.net', '"b ob"@example.net',
    '"a@b"@example.net', "dot@example.net.", "user@bücher.example", "user@BÜCHER.Example.",
    "jo\u0308rg@example.org", "u@faß.example", "u@例え。テスト", "u@пример.испытание",
    "u@\uff45.example", "u@ΒΌΛΟΣ.example", "u@" + "ü" * 60 + ".example",
    "no address", "", "u@[192.0.2.1]",
    "u@example-", "\tU@Example.org", "u@example.org\r\n", ".u@x.y",
]  # fmt: skip


@pytest.fixture
def key(database_url):
    with connect(database_url, autocommit=True) as conn:

        def ask(address):
            return conn.execute("SELECT mtabounce.address_key(%s)", [address]).fetchone()[0]

        yield ask


@pytest.mark.parametrize("address", SAMPLES)
def test_key_of_sql_is_that_of_the_program(key, address):
    assert key(address) == recipient_key(address)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LOCAL, st.lists(LABEL, min_size=1, max_size=3).map(".".join), WRITTEN)
def test_keys_are_the_same_for_all_addresses(key, local, domain, written):
    address = written.format(local, domain)
    try:
        expected = normalize(address)
    except ValueError:
        return
    assert key(address) == expected


def test_null_has_no_key(key):
    assert key(None) is None


@pytest.mark.parametrize("address", ["USER@Bücher.example", "user@xn--bcher-kva.example."])
def test_whoever_is_suppressed_is_found_however_written(database_url, address):
    with connect(database_url, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO suppressions (recipient, reason, cause, action, since)"
            " VALUES (%s, 'x', 'manual', 'blocklist', now())",
            [normalize("user@bücher.example")],
        )
        (alone,) = conn.execute("SELECT is_suppressed(%s)", [address]).fetchone()
        many = conn.execute("SELECT email FROM check_recipients(%s)", [[address, "x@y.z"]])
        assert alone
        assert many.fetchall() == [(address,)]
        assert len(conn.execute("SELECT refusal(%s)", [address]).fetchall()) == 1


def test_return_path_is_for_the_address_as_it_is_stored(database_url):
    with connect(database_url, autocommit=True) as conn:
        first, second = (
            conn.execute("SELECT return_path_id(%s, 'spring')", [one]).fetchone()
            for one in ("Zoë@bücher.example", "zoë@xn--bcher-kva.example")
        )
        assert first == second
