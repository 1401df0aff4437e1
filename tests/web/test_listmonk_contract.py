"""What listmonk answers, to the octet: each row of the tables of its contract, in their order."""

import asyncio
import base64
import http.client
import json
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from mtabounce.policy import PolicySettings
from mtabounce.store.connection import connect_sync
from mtabounce.store.tokens import create
from mtabounce.web.callers import Callers
from mtabounce.web.listmonk import ListmonkApi
from mtabounce.web.listmonk_settings import ListmonkSettings
from mtabounce.web.spool import Spool
from mtabounce.web.webhook_settings import WebhookSettings
from mtabounce.web.webhooks import Webhooks

UUID = "9f86b50d-5711-41c8-ab03-bc91c43d711b"
LISTED = ListmonkSettings(domain_blocklist=("Blocked.example", "*.wild.example", "*.com"))
GOOD = {"email": "ann@example.org", "type": "hard"}
DONE = {"data": True}
EMPTY = {"results": [], "search": "", "query": "", "total": 0, "per_page": 0, "page": 0}


@pytest.fixture
def asking(serving, pool, inbox, database_url, secret_file, tmp_path):
    """Serve with *settings*; asked as somebody with *scope*, unless headers say who asks."""
    with connect_sync(database_url, application_name="test") as conn:
        tokens = {scope: create(conn, scope, [scope]) for scope in ("read", "ingest", "admin")}
    sections = {
        "azure": WebhookSettings(token_files=(secret_file("azure"),)),
        "postmark": WebhookSettings(username="p", password_file=secret_file("word")),
    }

    @asynccontextmanager
    async def serve(settings=LISTED):
        webhooks = Webhooks(sections, inbox.append, Spool(tmp_path / "spool", inbox.append))
        known = Callers(pool.connection)
        api = ListmonkApi(settings, known, pool.connection, webhooks.durable, PolicySettings())
        async with serving(api.routes(), webhooks.before) as client:

            def ask(scope, method, path, body=None, headers=None):
                told = base64.b64encode(f"{scope}:{tokens.get(scope)}".encode()).decode()
                known = {"Authorization": f"Basic {told}"} if scope else {}
                connection = http.client.HTTPConnection(urlsplit(client.address).netloc)
                text = body if isinstance(body, str | None) else json.dumps(body)
                connection.request(method, path, text, known | (headers or {}))
                answer = connection.getresponse()
                said = answer.status, answer.getheader("content-type"), answer.read().decode()
                connection.close()
                return said

            async def later(*asked):
                return await asyncio.to_thread(ask, *asked)

            later.tokens = tokens
            yield later

    return serve


def json_of(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False) + "\n"


async def test_who_may_not_is_refused(asking):
    post = ("POST", "/webhooks/bounce", GOOD)
    async with asking() as ask:
        mine = f"token admin:{ask.tokens['admin']}"
        for asked, message in [
            (("", *post), "invalid session"),
            (("", *post, {"Authorization": "Basic YWRtaW46d3Jvbmc="}), "invalid API credentials"),
            (("", *post, {"Authorization": "token admin:wrong"}), "invalid API credentials"),
            (
                ("", *post, {"Authorization": "Digest x"}),
                "code=400, message=unknown Authorization scheme",
            ),
            (("admin", *post, {"Cookie": "a=b; session=c"}), "invalid session"),
            (("read", *post), "permission denied: webhooks:post_bounce"),
            (("ingest", "GET", "/api/bounces"), "permission denied: bounces:get"),
            (("ingest", "GET", "/api/bounces/1"), "permission denied: bounces:get"),
            (("read", "DELETE", "/api/bounces?all=1"), "permission denied: bounces:manage"),
            (("read", "DELETE", "/api/bounces/1"), "permission denied: bounces:manage"),
            (("read", "PUT", "/api/bounces/blocklist"), "permission denied: bounces:manage"),
        ]:
            said = (403, "application/json", json_of({"message": message}))
            assert await ask(*asked) == said, asked
        right = {"Authorization": mine, "Cookie": "mysession=c"}
        assert await ask("", *post, right) == (200, "application/json", json_of(DONE))


async def test_unknown_paths_answer_as_listmonks_do(asking):
    async with asking() as ask:
        for path in ("/api/lists", "/api/", "/api/bounces/1/more"):
            said = (404, "application/json", json_of({"message": "404 unknown endpoint"}))
            assert await ask("admin", "GET", path) == said
        for path in ("/nothing", "/webhooks", "/webhooks/bounce/more"):
            status, kind, text = await ask("admin", "GET", path)
            assert (status, kind) == (404, "text/html; charset=utf-8"), path
            assert text.startswith("<!DOCTYPE html>")


async def test_browser_is_told_what_the_webhook_is(asking):
    async with asking() as ask:
        status, kind, text = await ask("", "GET", "/webhooks/bounce")

        assert (status, kind) == (200, "text/plain; charset=utf-8")
        assert text.startswith("mtabounce: takes bounces by POST")


async def test_wrong_methods_answer_as_listmonks_do(asking):
    async with asking() as ask:
        for method, path in [("PUT", "/webhooks/bounce"), ("PUT", "/api/bounces/1")]:
            status, kind, text = await ask("admin", method, path)
            told = {"message": "Method Not Allowed"}
            assert (status, kind, json.loads(text)) == (405, "application/json", told)


NEITHER = "Invalid fields: email / subscriber_uuid"
BAD_UUID = "Invalid fields: subscriber_uuid"
BLOCKED = "The e-mail domain is blocklisted."
BAD_TYPE = "Invalid fields: type"
REFUSED = [  # each is wrong in what comes later, too: so the order of the checks is seen
    ('{"type": "odd"', "Invalid data:"),
    ("[]", "Invalid data:"),
    ({"email": 7, "type": "odd"}, "Invalid data:"),
    ({"type": "odd", "created_at": "yesterday"}, "Invalid data:"),
    ({"type": "odd", "created_at": "2026-02-31T10:00:00Z"}, "Invalid data:"),
    ({"type": "odd", "created_at": "2026-02-01T10:00:00+24:59"}, "Invalid data:"),
    ({"type": "odd"}, NEITHER),
    ({"subscriber_uuid": "x", "email": "x", "type": "odd"}, BAD_UUID),
    ({"subscriber_uuid": UUID, "email": "x", "type": "odd"}, "Invalid email."),
    ({"email": "A B <a@blocked.example>", "type": "odd"}, "Invalid email."),
    ({"subscriber_uuid": UUID, "email": " a@BLOCKED.example", "type": "odd"}, BLOCKED),
    ({"email": "a@deep.wild.example", "type": "hard"}, BLOCKED),
    ({"email": "a@wild.example", "type": "hard"}, BLOCKED),
    ({"email": "a@example.org"}, BAD_TYPE),
    ({"email": "a@example.org", "type": "odd"}, BAD_TYPE),
    ({"email": "a@example.org", "type": "Hard"}, BAD_TYPE),
]


async def test_bounces_are_refused_in_listmonks_words(asking):
    async with asking() as ask:
        for body, message in REFUSED:
            status, kind, text = await ask("ingest", "POST", "/webhooks/bounce", body)
            assert (status, kind) == (400, "application/json"), body
            told = json.loads(text)["message"]
            assert told.startswith(message) if message[-1] == ":" else told == message, body


TAKEN = [
    GOOD,
    {"email": "ann@more.blocked.example", "type": "soft"},
    {"email": "ann@example.com", "type": "soft"},  # nor does it stand for a whole domain
    {"email": "ann@very.deep.wild.example", "type": "soft"},  # a star is one label
    {"subscriber_uuid": UUID, "type": "soft"},
    {**GOOD, "subscriber_uuid": UUID, "campaign_uuid": UUID},
    {**GOOD, "type": "complaint", "campaign_uuid": "malformed", "source": "my_script"},
    {**GOOD, "created_at": "2024-08-20T23:54:22.851858+02:00", "meta": "text"},
    {"Email": "ann@example.org", "TYPE": "hard", "Meta": {"Key": 1}},  # as .NET writes them
    {**GOOD, "id": 1, "subscriber_id": 2, "campaign": {}, "subscriber_status": "x", "other": []},
]


async def test_bounces_that_listmonk_takes_are_taken(asking):
    async with asking() as ask:
        for body in TAKEN:
            said = await ask("ingest", "POST", "/webhooks/bounce", body)
            assert said == (200, "application/json", json_of(DONE)), body


async def test_allowlist_is_all_that_counts_where_there_is_one(asking):
    both = ListmonkSettings(
        domain_allowlist=("example.org", "bücher.example"), domain_blocklist=("example.org",)
    )
    async with asking(both) as ask:
        for domain, status in [("example.org", 200), ("BÜCHER.example", 200), ("a.example", 400)]:
            bounce = {"email": f"ann@{domain}", "type": "hard"}
            assert (await ask("ingest", "POST", "/webhooks/bounce", bounce))[0] == status


async def test_bounces_that_are_switched_off_are_answered_503(asking):
    off = (503, "application/json", json_of({"message": "Internal server error"}))
    async with asking(ListmonkSettings(enabled=False)) as ask:
        assert await ask("ingest", "POST", "/webhooks/bounce", GOOD) == off
        assert await ask("ingest", "POST", "/webhooks/bounce", "no JSON") == off
        assert (await ask("", "POST", "/webhooks/bounce", GOOD))[0] == 403
        assert (await ask("read", "GET", "/api/bounces"))[0] == 200


async def test_services_are_answered_as_listmonk_answers_them(asking):
    validation = {"eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
                  "data": {"validationCode": "c-1"}}  # fmt: skip
    unknown = (400, "application/json", json_of({"message": "Unknown service."}))
    right = {"Authorization": "Basic " + base64.b64encode(b"p:word").decode()}
    async with asking() as ask:
        for name in ("nobody", "ses", ""):
            assert await ask("", "POST", f"/webhooks/service/{name}", "{}") == unknown
        status, _, text = await ask("", "POST", "/webhooks/service/postmark", "{}")
        assert (status, json.loads(text)) == (401, {"message": "unauthorized"})
        said = await ask("", "POST", "/webhooks/service/postmark", '{"RecordType": "x"}', right)
        assert said == (200, "application/json", json_of(DONE))
        said = await ask("", "POST", "/webhooks/service/azure?code=azure", [validation])
        assert said == (200, "application/json", json_of({"validationResponse": "c-1"}))


ID = {"message": "invalid ID"}
IDS = {"message": "Invalid ID(s)"}


async def test_what_is_read_and_deleted_where_there_is_nothing(asking):
    async with asking() as ask:
        for method, path, status, answer in [
            ("GET", "/api/bounces", 200, {"data": EMPTY}),
            ("GET", "/api/bounces?page=9&per_page=all", 200, {"data": EMPTY}),
            ("GET", "/api/bounces/1", 400, {"message": "Bounce not found"}),
            ("GET", "/api/bounces/0", 400, ID),
            ("GET", "/api/bounces/x", 400, ID),
            ("GET", "/api/subscribers/1/bounces", 200, {"data": []}),
            ("GET", "/api/subscribers/x/bounces", 400, ID),
            ("DELETE", "/api/subscribers/1/bounces", 200, DONE),
            *(("DELETE", f"/api/bounces?all={yes}&id=x", 200, DONE)
              for yes in ("1", "t", "T", "true", "True", "TRUE")),
            ("DELETE", "/api/bounces?id=1&id=2", 200, DONE),
            ("DELETE", "/api/bounces", 400, IDS),
            ("DELETE", "/api/bounces?id=x", 400, IDS),
            ("DELETE", "/api/bounces?id=0", 400, IDS),
            ("DELETE", "/api/bounces?all=yes", 400, IDS),
            ("DELETE", "/api/bounces/1", 200, DONE),
            ("DELETE", "/api/bounces/x", 400, ID),
            ("PUT", "/api/bounces/blocklist", 200, DONE),
        ]:  # fmt: skip
            said = (status, "application/json", json_of(answer))
            assert await ask("admin", method, path) == said, (method, path)
