"""Where an address is named, however it is written there."""

import psycopg
import pytest

from mtabounce.address import normalize
from mtabounce.pipeline.traces import Traces

ZOE = Traces(normalize("zoë@straße.example"))
BOB = Traces(normalize("bob@example.org"))


@pytest.mark.parametrize(
    ("traces", "content"),
    [
        (BOB, 'to "bob"@example.org, who left'),
        (BOB, '{"to": "\\"Bob\\"@example.org"}'),
        (BOB, "b+bob=example.org@bounces.example.net"),
        (ZOE, "zoë@straße.example"),
        (ZOE, "ZOË@STRAßE.EXAMPLE"),
        (ZOE, "zoe\u0308@xn--strae-oqa.example"),
        (ZOE, '{"to":"zo\\u00eb\\u0040stra\\u00dfe.example"}'),
        (ZOE, "zo=C3=AB@stra=C3=9Fe.example"),
        (ZOE, "em/Dq0BzdHJhw59lLmV4YW1wbGU="),
    ],
)
def test_address_is_found_however_it_is_written(traces, content):
    assert traces.are_in(content.encode())


@pytest.mark.parametrize(
    "content", ["zoë@strasse.example", "xzoë@straße.example", "zoë@straße.example.org", ""]
)
def test_similar_address_is_not_found(content):
    assert not ZOE.are_in(content.encode())


def test_postgresql_finds_it_as_well(database_url):
    with psycopg.connect(database_url) as conn:
        for text in ('a "bob"@example.org', '{"to": "\\"Bob\\"@example.org"}'):
            found = conn.execute("SELECT %s ~* %s", [text, BOB.pattern]).fetchone()
            assert found == (True,)
        found = conn.execute("SELECT 'to ZOË@straße.example' ~* %s", [ZOE.pattern]).fetchone()
        assert found == (True,)


@pytest.mark.parametrize(
    ("content", "is_cut"),
    [
        (b"ob@example.org>, relay=none\n", True),
        (b"B@EXAMPLE.ORG>, relay=none\n", True),
        (b"relay=mx, to=<bob@exam", True),
        (b"relay=mx, to=<bob@", True),
        (b"@example.org>, relay=none\n", False),
        (b"relay=mx, to=<bob", False),
        (b"", False),
    ],
)
def test_piece_that_begins_or_ends_within_it(content, is_cut):
    assert BOB.are_cut_in(content) == is_cut


def test_name_without_a_domain_is_never_cut():
    assert not Traces("root").are_cut_in(b"oot and more")
