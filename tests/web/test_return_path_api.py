"""Return paths over HTTP: signed as in SQL, for callers that may have them."""

import asyncio
import json

import pytest

from mtabounce.pipeline.return_paths import today
from mtabounce.store.connection import connect_sync
from mtabounce.store.return_paths import look_up, put_keys
from mtabounce.verp import Keyring

RING = Keyring("bounces.example.org", {"a": b"correct horse battery staple"})
PATH = "/api/v1/return-paths"


@pytest.fixture
async def ask(serving, everything, tokens):
    async with serving(everything) as client:

        async def ask(value, scope="sign"):
            headers = {
                "Authorization": f"Bearer {tokens[scope]}",
                "Content-Type": "application/json",
            }
            status, said, _ = await client("POST", PATH, json.dumps(value), headers)
            return status, said

        yield ask


@pytest.fixture
def keys(database_url):
    with connect_sync(database_url, application_name="test") as conn:
        put_keys(conn, RING)
        yield conn


async def test_each_address_gets_its_own_in_order(ask, keys):
    emails = ["Bob@Example.net", "ann@example.net", "bob@example.net"]

    status, said = await ask({"emails": emails, "campaign": "spring"})

    assert (status, [one["email"] for one in said["data"]]) == (200, emails)
    bob, ann, again = (RING.check(one["return_path"], today()) for one in said["data"])
    assert bob == again
    made = [look_up(keys, one.number) for one in (bob, ann)]
    assert [(one.recipient, one.campaign) for one in made] == [
        ("bob@example.net", "spring"),
        ("ann@example.net", "spring"),
    ]


async def test_many_at_once_by_many_callers_never_lock_each_other_out(ask, keys):
    emails = [f"u{number}@example.net" for number in range(300)]

    said = await asyncio.gather(
        *(ask({"emails": emails if turn % 2 else emails[::-1]}) for turn in range(3))
    )

    assert {status for status, _ in said} == {200}
    assert keys.execute("SELECT count(*) FROM return_paths").fetchone() == (300,)


@pytest.mark.parametrize(("scope", "status"), [("read", 403), ("ingest", 403), ("admin", 200)])
async def test_only_the_scopes_sign_and_admin_make_return_paths(ask, keys, scope, status):
    assert (await ask({"emails": ["ann@example.net"]}, scope))[0] == status


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"emails": ["ann"]}, "emails: "),
        ({"emails": ["ann@example.net", '"a b"@example.net']}, "emails: "),
        ({"emails": ["ann@example.net\r\nRCPT TO:<x@y.z>"]}, "emails.0: "),
        ({"emails": ["a@example.net"] * 1001}, "emails: "),
        ({"emails": ["a@example.net"], "campaign": "x" * 251}, "campaign: "),
        ({"emails": ["a@example.net"], "campaign": "a\0b"}, "campaign: "),
        ({}, "emails: "),
    ],
)
async def test_what_is_no_address_is_one_line(ask, keys, value, why):
    status, said = await ask(value)

    assert status == 422
    assert said["message"].startswith(why)
    assert "\n" not in said["message"]
    assert keys.execute("SELECT count(*) FROM return_paths").fetchone() == (0,)


async def test_without_a_key_it_says_what_to_do(ask):
    status, said = await ask({"emails": ["ann@example.net"]})

    assert (status, "[return_path]" in said["message"]) == (409, True)
