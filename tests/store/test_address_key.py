"""SQL knows an address by the key that it is stored by."""

import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import connect

from mtabounce.address import normalize, recipient_key

LETTERS = "abXZ09-üÖßẞéñçжцΛΣςσİIıᾼſﬁ中文字日本Ａ\u0307\u0345\u00ad\u200c\u200d"
LOCAL = st.text("abZ09.+'_-üÖéñжλΣςİß中\u0307\u0345", min_size=1, max_size=12)
# Letters since Unicode 14 are not known to every PostgreSQL and Python.
LABEL = st.text(LETTERS, min_size=1, max_size=12) | st.text(
    st.characters(exclude_categories=("Cs", "Cn", "Cc", "Co")).filter(
        lambda letter: unicodedata.normalize("NFKC", letter) != "" and "@" not in letter
    ),
    min_size=1,
    max_size=4,
)
WRITTEN = st.sampled_from(["{0}@{1}", " {0}@{1}\n", '"{0}"@{1}', "{0}@{1}."])
SAMPLES = [
    "Ann@Example.org", " ann@example.org\t", '"bob"@example.net', '"b ob"@example.net',
    '"a@b"@example.net', "dot@example.net.", "user@bücher.example", "user@BÜCHER.Example.",
    "jo\u0308rg@example.org", "u@faß.example", "u@例え。テスト", "u@пример.испытание",
    "u@\uff45.example", "u@ΒΌΛΟΣ.example", "u@" + "ü" * 60 + ".example",
    "no address", "", "u@[192.0.2.1]",
    "u@straße.example", "u@STRASSE.example", "u@STRAẞE.example", "u@βόλος.example",
    "u@ΒΌΛΟΣ.example", "u@نامه\u200cای.example", "u@ශ්\u200dරී.example", "u@i❤.example",
    "u@\u00adsoft\u200b.example", "u@ϲ.example", "u@Ᏸꭰ.example", "u@ᾴ.example", "u@İI.example",
    "ΝΊΚΟΣ@example.org", "νίκος@example.org", "İbrahim@example.org", "STRAẞE", "ΝΊΚΟΣ",
    '"b"@' + "a" * 64 + ".example", "u@bücher." + "a" * 64 + ".", "u@xn--strae-oqa.example",
    "\u00a0u@example.org\u3000", "u@bücher.example。", "ü" * 70 + "@bücher.example",
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


@pytest.mark.parametrize(
    ("address", "twin"),
    [
        ("u@exa\u200dmple.org", "u@example.org"),  # a joiner where none belongs
        ("u@exa\ufffdmple.org", "u@example.org"),
        ("u@evil.example＠example.org", "u@example.org"),
        ("u@a。。example", "u@a.example"),
        ("u@" + "ü" * 63 + ".example", "u@" + "ü" * 62 + ".example"),
    ],
)
def test_what_is_no_domain_is_nobody(key, address, twin):
    with pytest.raises(ValueError, match=r"label|sign|letter|address|Codepoint"):
        normalize(address)

    assert key(address) != key(twin)


@pytest.mark.parametrize("locale", ["C", "C.utf8"])
def test_keys_are_the_same_whatever_the_locale_of_the_database(database_url, locale):
    names = ("address_key", "unusual_address_key", "domain_letters", "small_letters", "punycode")
    with connect(database_url, autocommit=True) as conn:
        functions = conn.execute(
            "SELECT pg_get_functiondef(oid) FROM pg_proc"
            " WHERE pronamespace = 'mtabounce'::regnamespace AND proname = ANY (%s)"
            " ORDER BY array_position(%s, proname::text) DESC",
            [list(names), list(names)],
        ).fetchall()
        name = f"{conn.info.dbname}_of_locale"
        conn.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER libc LOCALE '{locale}'"
        )
        try:
            with connect(database_url, dbname=name, autocommit=True) as other:
                other.execute("CREATE SCHEMA mtabounce")
                for (function,) in functions:
                    other.execute(function)
                for one in SAMPLES:
                    (told,) = other.execute("SELECT mtabounce.address_key(%s)", [one]).fetchone()
                    assert told == recipient_key(one)
        finally:
            conn.execute(f"DROP DATABASE {name} WITH (FORCE)")


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
