"""listmonk's bounce API, row by row of its contract."""

import base64
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from mtabounce.correlate import observe
from mtabounce.model import (
    Action,
    BounceType,
    Fault,
    Judged,
    Outcome,
    RawInput,
    Reading,
    Report,
    Verdict,
)
from mtabounce.pipeline.decide import Recorder
from mtabounce.policy import PolicySettings
from mtabounce.providers.request import pack
from mtabounce.store.connection import connect_sync
from mtabounce.store.tokens import create, list_tokens, revoke
from mtabounce.web.callers import Callers
from mtabounce.web.listmonk import ListmonkApi
from mtabounce.web.listmonk_settings import ListmonkSettings
from tests.working import worked

UUID = "9f86b50d-5711-41c8-ab03-bc91c43d711b"
GOOD = {"email": "user1@mail.com", "campaign_uuid": UUID, "source": "api", "type": "hard"}
EMPTY = {"results": [], "search": "", "query": "", "total": 0, "per_page": 0, "page": 0}
DOCUMENTED = """
SELECT bounces.created_at,
    bounces.subscriber_id,
    subscribers.uuid AS subscriber_uuid,
    subscribers.email AS email
FROM bounces
LEFT JOIN subscribers ON (subscribers.id = bounces.subscriber_id)
ORDER BY bounces.created_at DESC LIMIT 1000;
"""


def basic(username, token):
    return {"Authorization": "Basic " + base64.b64encode(f"{username}:{token}".encode()).decode()}


@pytest.fixture
def token(database_url):
    with connect_sync(database_url, application_name="test") as conn:
        return create(conn, "api_username", ["admin"])


@pytest.fixture
def calling(serving, pool, inbox, token):
    @asynccontextmanager
    async def call():
        callers = Callers(pool.connection)
        api = ListmonkApi(
            ListmonkSettings(), callers, pool.connection, inbox.append, PolicySettings()
        )
        async with serving(api.routes()) as ask:

            async def as_admin(method, path, value=None, **headers):
                body = value if isinstance(value, str | None) else json.dumps(value)
                known = basic("api_username", token) | headers
                return (await ask(method, path, body, known))[:2]

            as_admin.ask = ask
            yield as_admin

    return call


async def test_who_may_not_is_told_so_in_listmonks_words(calling, database_url):
    with connect_sync(database_url, application_name="test") as conn:
        reader = create(conn, "reader", ["read"])
        gone = create(conn, "gone", ["admin"])
        assert revoke(conn, "gone") == 1
        assert [one.username for one in list_tokens(conn)] == ["api_username", "reader", "gone"]
    async with calling() as call:

        async def said(headers, method="POST", path="/webhooks/bounce"):
            status, answer, _ = await call.ask(method, path, json.dumps(GOOD), headers)
            return status, answer["message"] if status != 200 else answer

        assert await said({}) == (403, "invalid session")
        for wrong in (
            basic("api_username", "wrong"),
            basic("other", reader),
            basic("gone", gone),
            {"Authorization": "token api_username:wrong"},
            {"Authorization": "Bearer wrong"},
            {"Authorization": "Basic #"},
        ):
            assert await said(wrong) == (403, "invalid API credentials")
        assert await said({"Authorization": "Digest x"}) == (
            403, "code=400, message=unknown Authorization scheme",
        )  # fmt: skip
        assert await said(basic("reader", reader)) == (
            403, "permission denied: webhooks:post_bounce",
        )  # fmt: skip
        assert await said(basic("reader", reader), "DELETE", "/api/bounces?all=true") == (
            403, "permission denied: bounces:manage",
        )  # fmt: skip
        for right in (
            basic("reader", reader),
            {"Authorization": f"token reader:{reader}"},
            {"Authorization": f"Bearer {reader}"},
        ):
            assert (await said(right, "GET", "/api/bounces"))[0] == 200
        assert await said(basic("reader", reader), "GET", "/api/lists") == (
            404, "404 unknown endpoint",
        )  # fmt: skip


REFUSED = [
    ('{"email": ', "Invalid data:"),
    ("[]", "Invalid data:"),
    ("7", "Invalid data:"),
    ('{"email": 7}', "Invalid data:"),
    ('{"email": "a@b.org", "type": "hard", "meta": NaN}', "Invalid data:"),
    ({**GOOD, "created_at": "yesterday"}, "Invalid data:"),
    ({"type": "hard"}, "Invalid fields: email / subscriber_uuid"),
    ({"type": "odd"}, "Invalid fields: email / subscriber_uuid"),
    ({"subscriber_uuid": "x", "type": "odd"}, "Invalid fields: subscriber_uuid"),
    ({"subscriber_uuid": "x", "email": "x", "type": "hard"}, "Invalid fields: subscriber_uuid"),
    ({"email": "x", "type": "odd"}, "Invalid email."),
    ({"email": "A B <a@b.org>", "type": "hard"}, "Invalid email."),
    ({"subscriber_uuid": UUID, "email": "x", "type": "hard"}, "Invalid email."),
    ({"email": "a@b.org"}, "Invalid fields: type"),
    ({"email": "a@b.org", "type": "Hard"}, "Invalid fields: type"),
    # The documented example lacks the quote that ends its meta; so much is mended, and no more.
    (json.dumps({**GOOD, "meta": "text"})[:-2], "Invalid data:"),
    ('{"type": "hard", "email": "a@b.org}', "Invalid data:"),
    ('{"email": "a@b.org", "type": "hard", "meta": {"a": "b}', "Invalid data:"),
    ('{"email": "a@b.org", "type": "hard", "meta": "a", "source": "x}', "Invalid data:"),
    ('["a", "meta}', "Invalid data:"),
]


async def test_bad_bounces_are_refused_in_listmonks_order(calling):
    async with calling() as call:
        for body, message in REFUSED:
            status, said = await call("POST", "/webhooks/bounce", body)

            assert status == 400, body
            assert said["message"].startswith(message), body


TAKEN = [
    GOOD,
    {**GOOD, "meta": '{"additional": "info"}'},
    {**GOOD, "meta": {"a": [1, "\0\ud800"]}, "unknown": 7, "id": 3, "subscriber_id": 9},
    {"email": " User2@MAIL.com ", "type": "soft"},
    {
        "email": "user3@mail.com",
        "type": "complaint",
        "campaign_uuid": "malformed",
        "meta": {"a": 1},
    },
    {"subscriber_uuid": UUID, "type": "soft"},
    {"subscriber_uuid": UUID.upper(), "email": "user4@mail.com", "type": "soft"},
]


async def test_good_bounces_are_stored_and_given_back(calling, connecting, conn):
    async with calling() as call:
        for body in TAKEN:
            assert await call("POST", "/webhooks/bounce", body) == (200, {"data": True}), body
        await worked(connecting)
        _, said = await call("GET", "/api/bounces?order=asc&per_page=all")

        results = said["data"]["results"]
        assert list(said["data"]) == ["results", "search", "query", "total", "per_page", "page"]
        assert (said["data"]["total"], said["data"]["per_page"], said["data"]["page"]) == (7, 0, 1)
        assert list(results[0]) == ["id", "type", "source", "meta", "created_at", "email",
                                    "subscriber_uuid", "subscriber_id", "subscriber_status",
                                    "campaign"]  # fmt: skip
        by_meta = {json.dumps(one["meta"]): one for one in results}
        assert json.dumps('{"additional": "info"}') in by_meta
        assert '{"a": [1, "?"]}' in by_meta
        malformed = by_meta['{"a": 1, "campaign_uuid": "malformed"}']
        assert (malformed["type"], malformed["campaign"]) == ("complaint", None)
        emails = sorted({one["email"] for one in results})
        assert emails[:4] == [UUID, "user1@mail.com", "user2@mail.com", "user3@mail.com"]
        first = next(one for one in results if one["email"] == "user1@mail.com")
        assert (first["source"], first["type"]) == ("api", "hard")
        assert first["campaign"]["name"] == UUID
        assert first["subscriber_status"] == "blocklisted"
        single = await call("GET", f"/api/bounces/{first['id']}")
        assert single == (200, {"data": first})
        _, mine = await call("GET", f"/api/subscribers/{first['subscriber_id']}/bounces")
        assert len(mine["data"]) == 3
    await conn.execute("SET search_path = listmonk")
    rows = await (await conn.execute(DOCUMENTED)).fetchall()
    assert len(rows) == 7


async def test_whatever_meta_holds_is_stored_and_given_back(calling, connecting, conn):
    metas = {
        r'{"a": "\\u0000x"}': {"a": r"\u0000x"},
        r'{"a": "\u0000x"}': {"a": "x"},
        r'{"a": "\\\u0000\u0000\\\\u0000"}': {"a": r"\\\u0000"},
        r'{"a\u0000": "\ud800"}': {"a": "?"},
        '{"n": 1e999, "m": -1e-999}': {"n": "1e999", "m": 0.0},
        "[1, [2], {}]": [1, [2], {}],
        "[" * 100 + "]" * 100: json.loads("[" * 100 + "]" * 100),
    }
    async with calling() as call:
        for number, meta in enumerate(metas):
            body = f'{{"email": "u{number}@mail.com", "type": "soft", "meta": {meta}}}'
            assert await call("POST", "/webhooks/bounce", body) == (200, {"data": True}), meta
        deep = '{"email": "deep@mail.com", "type": "soft", "meta": ' + "[" * 101 + "]" * 101 + "}"
        assert (await call("POST", "/webhooks/bounce", deep))[0] == 400
        await worked(connecting)
        status, said = await call("GET", "/api/bounces?order_by=email&order=asc")
        assert status == 200
        assert [one["meta"] for one in said["data"]["results"]] == list(metas.values())


async def test_repeated_post_with_one_key_is_one_bounce(calling, connecting):
    async with calling() as call:
        for _ in range(3):
            await call("POST", "/webhooks/bounce", GOOD, **{"Idempotency-Key": "k"})
        await worked(connecting)
        _, said = await call("GET", "/api/bounces")

    assert said["data"]["total"] == 1


async def test_pages_filters_and_orders(calling, connecting):
    async with calling() as call:
        for number, kind in enumerate(["hard", "soft", "complaint"]):
            body = {"email": f"u{number}@mail.com", "type": kind, "source": f"s{number}",
                    "created_at": f"2026-11-2{number}T10:00:00Z"}  # fmt: skip
            await call("POST", "/webhooks/bounce", body)
        await worked(connecting)

        async def emails(query):
            status, said = await call("GET", f"/api/bounces?{query}")
            assert status == 200
            return [one["email"][:2] for one in said["data"]["results"]]

        assert await emails("") == ["u2", "u1", "u0"]
        assert await emails("order=asc") == ["u0", "u1", "u2"]
        assert await emails("order_by=email&order=ASC") == ["u2", "u1", "u0"]
        assert await emails("order_by=type&order=asc") == ["u2", "u0", "u1"]
        assert len(await emails("order_by=campaign_name")) == 3
        assert await emails("order_by=odd") == ["u2", "u1", "u0"]
        assert await emails("source=s1") == ["u1"]
        assert await emails("campaign_id=x") == ["u2", "u1", "u0"]
        assert await emails("per_page=2&page=2") == ["u0"]
        assert await emails("per_page=-1&page=0") == ["u2", "u1", "u0"]
        assert await call("GET", "/api/bounces?page=9") == (200, {"data": EMPTY})
        assert await call("GET", "/api/bounces/9999") == (400, {"message": "Bounce not found"})
        for wrong in ("0", "-1", "x"):
            assert await call("GET", f"/api/bounces/{wrong}") == (400, {"message": "invalid ID"})


async def test_what_is_left_out_has_listmonks_defaults(calling, connecting):
    said_at = "2024-08-20T23:54:22.851858Z"
    async with calling() as call:
        bare = {"email": "bare@mail.com", "type": "soft"}
        told = json.dumps({**bare, "created_at": said_at, "meta": "text"})
        before = datetime.now(UTC)
        assert await call("POST", "/webhooks/bounce", bare) == (200, {"data": True})
        as_form = {"Content-Type": "application/x-www-form-urlencoded"}  # as curl -d says
        assert await call("POST", "/webhooks/bounce", told, **as_form) == (200, {"data": True})
        await worked(connecting)
        _, said = await call("GET", "/api/bounces?order=asc")

    first, second = said["data"]["results"]
    assert (first["created_at"], first["meta"], first["campaign"]) == (said_at, "text", None)
    assert (second["meta"], second["source"]) == ({}, "")
    assert before <= datetime.fromisoformat(second["created_at"]) <= datetime.now(UTC)


async def test_posters_that_leave_a_time_at_its_zero_lose_no_bounce(calling, connecting):
    async with calling() as call:
        bounce = {"email": "zero@mail.com", "type": "hard", "created_at": "0001-01-01T00:00:00Z"}
        before = datetime.now(UTC)
        assert await call("POST", "/webhooks/bounce", bounce) == (200, {"data": True})
        await worked(connecting)
        _, said = await call("GET", "/api/bounces")

    (one,) = said["data"]["results"]
    assert before <= datetime.fromisoformat(one["created_at"]) <= datetime.now(UTC)


async def test_no_bounce_is_left_out_however_many_there_were(calling, connecting):
    async with calling() as call:
        for day in range(10, 15):  # listmonk stores none beyond its count
            bounce = {"email": "often@mail.com", "type": "hard"}
            at = {"created_at": f"2026-11-{day}T10:00:00+01:00"}
            await call("POST", "/webhooks/bounce", bounce | at)
        await worked(connecting)
        _, said = await call("GET", "/api/bounces")
        owner = said["data"]["results"][0]["subscriber_id"]
        _, mine = await call("GET", f"/api/subscribers/{owner}/bounces")

    assert said["data"]["total"] == 5
    assert [one["created_at"][:10] for one in mine["data"]] == [
        f"2026-11-{day}" for day in range(14, 9, -1)
    ]


@pytest.mark.parametrize("yes", ["1", "t", "T", "true", "True", "TRUE"])
async def test_all_is_what_go_calls_true(calling, yes):
    async with calling() as call:
        assert await call("DELETE", f"/api/bounces?all={yes}") == (200, {"data": True})
        for no in ("0", "f", "yes", "tRUE", "true%20"):
            assert (await call("DELETE", f"/api/bounces?all={no}"))[0] == 400


async def test_sources_are_listmonks(calling, connecting, inbox):
    event = {"event": "bounce", "type": "bounce", "email": "esp@mail.com", "timestamp": 1764500000}
    content = pack({}, json.dumps([event]).encode())
    now = datetime.now(UTC)
    async with calling() as call:
        await call("POST", "/webhooks/bounce", {"email": "none@mail.com", "type": "soft"})
        named = {"email": "named@mail.com", "type": "soft", "source": "my_script"}
        await call("POST", "/webhooks/bounce", named)
        await inbox.append(RawInput(source="webhook:sendgrid", content=content, received_at=now))
        await worked(connecting)
        _, said = await call("GET", "/api/bounces?order_by=email&order=asc")
        found = {one["email"]: one["source"] for one in said["data"]["results"]}
        _, of_esp = await call("GET", "/api/bounces?source=sendgrid")

    assert found == {
        "esp@mail.com": "sendgrid", "named@mail.com": "my_script", "none@mail.com": "",
    }  # fmt: skip
    assert [one["email"] for one in of_esp["data"]["results"]] == ["esp@mail.com"]


async def test_deleted_bounces_are_gone_and_counted_no_more(calling, connecting, conn):
    async with calling() as call:
        for number in range(4):
            await call("POST", "/webhooks/bounce", {"email": f"u{number}@mail.com", "type": "soft"})
        await worked(connecting)
        _, said = await call("GET", "/api/bounces")
        ids = [one["id"] for one in said["data"]["results"]]

        for wrong in ("", "?id=x", "?id=0", f"?id={ids[0]}&id=x", "?all=yes"):
            assert await call("DELETE", f"/api/bounces{wrong}") == (
                400, {"message": "Invalid ID(s)"},
            )  # fmt: skip
        assert await call("DELETE", f"/api/bounces?id={ids[0]}&id=99999") == (200, {"data": True})
        assert await call("DELETE", f"/api/bounces/{ids[1]}") == (200, {"data": True})
        assert await call("DELETE", f"/api/bounces/{ids[1]}") == (200, {"data": True})
        assert await call("DELETE", "/api/bounces/x") == (400, {"message": "invalid ID"})
        _, said = await call("GET", "/api/bounces")
        assert said["data"]["total"] == 2
        owner = said["data"]["results"][0]["subscriber_id"]
        assert await call("DELETE", f"/api/subscribers/{owner}/bounces") == (200, {"data": True})
        assert await call("DELETE", "/api/bounces?all=1") == (200, {"data": True})
        assert await call("GET", "/api/bounces") == (200, {"data": EMPTY})
    cursor = await conn.execute("SELECT sum(soft) FROM mtabounce.recipients")
    assert await cursor.fetchall() == [(0,)]


async def test_everybody_with_a_bounce_can_be_blocklisted(calling, connecting, conn):
    async with calling() as call:
        await call("POST", "/webhooks/bounce", {"email": "soft@mail.com", "type": "soft"})
        await worked(connecting)

        assert await call("PUT", "/api/bounces/blocklist", "ignored") == (200, {"data": True})
        _, said = await call("GET", "/api/bounces")

    assert said["data"]["results"][0]["subscriber_status"] == "blocklisted"
    cursor = await conn.execute(
        "SELECT actor, action FROM mtabounce.decisions WHERE action = 'add'"
    )
    assert await cursor.fetchall() == [("api", "add")]


async def test_filters_take_what_numbers_there_are(calling, connecting):
    async with calling() as call:
        for name, campaign in (("u0", UUID), ("u1", UUID), ("u2", "")):
            bounce = {"email": f"{name}@mail.com", "type": "soft", "campaign_uuid": campaign}
            await call("POST", "/webhooks/bounce", bounce)
        await worked(connecting)
        _, said = await call("GET", "/api/bounces?order_by=campaign_name&order=asc")
        found = said["data"]["results"]
        number, owner = found[0]["campaign"]["id"], found[0]["subscriber_id"]

        async def total(query):
            status, said = await call("GET", f"/api/bounces?{query}")
            assert status == 200
            return said["data"]["total"]

        assert found[-1]["campaign"] is None
        assert await total(f"campaign_id={number}") == 2
        assert await total(f"campaign_id={number + 1}") == 0
        assert await total("campaign_id=0") == 3
        for nothing in (
            "source=nothing",
            "source=%00",
            "source=%ff",
            f"page={10**17}&per_page=1000",
        ):
            assert await total(nothing) == 0
        for query, per_page in (("per_page=0", 20), ("per_page=x", 20), ("per_page=1000", 1000)):
            _, said = await call("GET", f"/api/bounces?{query}")
            assert (said["data"]["total"], said["data"]["per_page"]) == (3, per_page)
        for path in ("/api/subscribers/x/bounces", "/api/subscribers/0/bounces"):
            for method in ("GET", "DELETE"):
                assert await call(method, path) == (400, {"message": "invalid ID"})
        assert await call("GET", "/api/subscribers/999/bounces") == (200, {"data": []})
        assert await call("DELETE", "/api/subscribers/999/bounces") == (200, {"data": True})
        _, mine = await call("GET", f"/api/subscribers/{owner}/bounces")
        assert [one["email"] for one in mine["data"]] == [found[0]["email"]]
        assert await call("DELETE", "/api/bounces?all=TRUE&id=x") == (200, {"data": True})
        assert await total("") == 0


async def test_who_is_suppressed_stays_so_when_the_bounces_are_deleted(calling, connecting, conn):
    async with calling() as call:
        assert await call("POST", "/webhooks/bounce", GOOD) == (200, {"data": True})
        await worked(connecting)
        assert await call("DELETE", "/api/bounces?all=true") == (200, {"data": True})
        soft = GOOD | {"type": "soft"}
        assert await call("POST", "/webhooks/bounce", soft) == (200, {"data": True})
        await worked(connecting)

    told = await (await conn.execute("SELECT is_suppressed(%s)", [GOOD["email"]])).fetchone()
    assert told == (True,)
    kept = await conn.execute("SELECT actor FROM decisions WHERE action = 'keep'")
    assert await kept.fetchall() == [("api",)]


def forged(recipient, uuid):
    report = Report(
        outcome=Outcome.BOUNCE,
        final_recipient=recipient,
        action=Action.FAILED,
        original_message_id="1@lists",
        subscriber=uuid,
    )
    reading = Reading(outcome=Outcome.BOUNCE, reports=(report,), fingerprint=b"forged")
    verdict = Verdict(
        type=BounceType.HARD, reason="user_unknown", fault=Fault.RECIPIENT, rule="status-5.1.1"
    )
    raw = RawInput(source="receiver", content=b"", received_at=datetime.now(UTC))
    return observe(raw, Judged(reading=reading, verdicts=(verdict,)))


async def test_bounces_of_a_name_without_a_domain_can_be_deleted(calling, connecting, conn):
    async with conn.transaction():
        await Recorder(PolicySettings()).record(conn, forged("root", ""))
    async with calling() as call:
        assert await call("DELETE", "/api/bounces?all=true") == (200, {"data": True})
        assert await call("GET", "/api/bounces") == (200, {"data": EMPTY})


async def test_stranger_gets_nobody_on_the_blocklist(calling, connecting, conn):
    async with conn.transaction():
        await Recorder(PolicySettings()).record(conn, forged("victim@mail.com", UUID))
    async with calling() as call:
        await call("POST", "/webhooks/bounce", {"email": "soft@mail.com", "type": "soft"})
        await worked(connecting)

        for _ in range(2):
            await call("PUT", "/api/bounces/blocklist", "")

    cursor = await conn.execute("SELECT recipient FROM mtabounce.suppressions")
    assert await cursor.fetchall() == [("soft@mail.com",)]
    cursor = await conn.execute("SELECT count(*) FROM mtabounce.decisions WHERE action = 'add'")
    assert await cursor.fetchall() == [(1,)]


async def test_stranger_cannot_say_whose_uuid_it_is(calling, connecting, conn):
    async with conn.transaction():
        await Recorder(PolicySettings()).record(conn, forged("victim@mail.com", UUID))
    async with calling() as call:
        bounce = {"subscriber_uuid": UUID, "email": "own@mail.com", "type": "hard"}
        await call("POST", "/webhooks/bounce", bounce)
        await worked(connecting)

    cursor = await conn.execute("SELECT recipient FROM mtabounce.suppressions")
    assert await cursor.fetchall() == [("own@mail.com",)]
    cursor = await conn.execute("SELECT email FROM listmonk.subscribers WHERE uuid = %s", [UUID])
    assert await cursor.fetchall() == [("own@mail.com",)]
