"""Any bytes become text that PostgreSQL takes."""

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtabounce.store import clean_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("550 5.1.1 Empfänger unbekannt", "550 5.1.1 Empfänger unbekannt"),
        ("", ""),
        ("a\0b", "a\N{REPLACEMENT CHARACTER}b"),
        ("a\ud800b", "a\N{REPLACEMENT CHARACTER}b"),
        ("a\tb", "a\tb"),
        ("a\r\nb\nc\rd\x85e\u2028f", "a b c d e f"),
        ("a\x1b[31mb\x07\x7f\x9b", "a[31mb"),
        (b"caf\xc3\xa9", "café"),
        (b"caf\xe9", "caf\N{REPLACEMENT CHARACTER}"),
        (b"\xed\xa0\x80", "\N{REPLACEMENT CHARACTER}" * 3),
        ("\u202eevil \u2066x", "\u202eevil \u2066x"),
    ],
)
def test_text_is_cleaned(value, text):
    assert clean_text(value) == text


@given(st.one_of(st.binary(), st.text(st.characters(codec=None))))
def test_any_value_becomes_text_without_controls(value):
    text = clean_text(value)

    assert (text.encode() and text.isprintable()) or all(ord(c) > 31 or c == "\t" for c in text)
    assert clean_text(text) == text


def test_cleaned_text_goes_through_the_database(database_url):
    every = clean_text("".join(map(chr, range(0x11000))))

    with psycopg.connect(database_url) as conn:
        assert conn.execute("SELECT %s", [every]).fetchone() == (every,)
        assert conn.execute("SELECT to_jsonb(%s::text) #>> '{}'", [every]).fetchone() == (every,)
