"""The API under /api/v1: pages, answers, scopes, and whatever its own description allows."""

import asyncio
import json
import os
from urllib.parse import quote

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error

from tests.working import worked

# For a long run: MTABOUNCE_SCHEMATHESIS=500
EXAMPLES = int(os.environ.get("MTABOUNCE_SCHEMATHESIS", "15"))


def bearer(token):
    return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}


@pytest.fixture
async def call(serving, everything, tokens):
    async with serving(everything) as ask:

        async def call(method, path, value=None, scope="admin"):
            body = None if value is None else json.dumps(value)
            status, said, _ = await ask(method, f"/api/v1{path}", body, bearer(tokens[scope]))
            return status, said

        call.ask = ask
        yield call


@pytest.fixture
async def bounced(call, connecting, tokens):
    """Five addresses with a hard bounce, u0 to u4, and one with a soft one."""
    for number in range(6):
        bounce = {
            "email": f"u{number}@example.org",
            "type": "soft" if number == 5 else "hard",
            "campaign_uuid": "autumn",
        }
        status, _, _ = await call.ask(
            "POST", "/webhooks/bounce", json.dumps(bounce), bearer(tokens["ingest"])
        )
        assert status == 200
    await worked(connecting)


async def pages_of(call, path):
    found, cursor = [], ""
    while cursor is not None:
        status, said = await call("GET", f"{path}{cursor}", scope="read")
        assert status == 200
        found.append(said["data"])
        cursor = said["next"] and f"&cursor={said['next']}"
    return found


async def test_bounces_come_in_pages_the_newest_first(call, bounced):
    pages = await pages_of(call, "/bounces?limit=4")

    assert [len(page) for page in pages] == [4, 2]
    ids = [one["id"] for page in pages for one in page]
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == 6


FOUND = [
    ("recipient=U1@EXAMPLE.org", 1),
    ("domain=Example.org", 6),
    ("domain=example.com", 0),
    ("type=hard", 5),
    ("type=soft&domain=example.org", 1),
    ("since=2026-01-01T00:00:00Z", 6),
    ("since=2100-01-01T00:00:00Z", 0),
    ("campaign=nothing", 0),
]


async def test_bounces_are_filtered(call, bounced):
    for query, count in FOUND:
        _, said = await call("GET", f"/bounces?{query}", scope="read")

        assert len(said["data"]) == count, query
        assert said["next"] is None


async def test_bounce_comes_with_its_evidence(call, bounced):
    _, said = await call("GET", "/bounces?type=hard&limit=1")
    number = said["data"][0]["id"]

    status, found = await call("GET", f"/bounces/{number}", scope="read")

    assert status == 200
    assert found["bounce"] == said["data"][0]
    assert [one["source"] for one in found["evidence"]] == ["api"]
    assert await call("GET", "/bounces/999999") == (404, {"message": "there is no bounce 999999"})


async def test_whoever_bounced_hard_is_not_to_be_mailed(call, bounced):
    status, said = await call("GET", "/check?email=%20U0@example.ORG", scope="read")

    assert status == 200
    assert said["suppressed"] is True
    assert said["suppressions"][0]["cause"] == "hard"
    _, said = await call("GET", "/check?email=u5@example.org", scope="read")
    assert said == {"email": "u5@example.org", "suppressed": False, "suppressions": []}


async def test_many_addresses_are_checked_at_once(call, bounced):
    emails = ["u5@example.org", " U3@example.org ", "nobody@example.org", "u1@example.org", "x"]

    status, said = await call("POST", "/check", {"emails": emails}, scope="read")

    assert status == 200
    assert [one["email"] for one in said["data"]] == [" U3@example.org ", "u1@example.org"]


async def test_suppression_for_a_list_counts_for_that_list_alone(call):
    body = {"why": "asked by phone", "scope": "list:news"}
    status, said = await call("PUT", "/suppressions/ann@example.org", body)
    assert (status, said["suppressed"]) == (200, True)

    async def is_suppressed(scope):
        _, said = await call("GET", f"/check?email=ann@example.org&scope={scope}", scope="read")
        return said["suppressed"]

    assert await is_suppressed("list:news")
    assert not await is_suppressed("list:other")
    assert not await is_suppressed("all")


async def test_suppressions_are_added_listed_and_taken_back(call, connecting):
    for name in ("a/b", "bob", "cora", "dora"):
        address = quote(f"{name}@example.org", safe="")
        assert (await call("PUT", f"/suppressions/{address}", {}))[0] == 200

    pages = await pages_of(call, "/suppressions?limit=3")
    assert [[one["recipient"][:3] for one in page] for page in pages] == [
        ["a/b", "bob", "cor"],
        ["dor"],
    ]
    status, said = await call("DELETE", "/suppressions/bob@example.org?why=works")
    assert (status, said["suppressed"]) == (200, False)
    _, known = await call("GET", "/recipients/bob@example.org", scope="read")
    assert [
        (one["actor"], one["why"]) for one in known["decisions"] if one["actor"] == "admin"
    ] == [
        ("admin", "works"),
        ("admin", ""),
    ]


async def test_recipient_is_told_with_all_that_is_known(call, bounced):
    status, said = await call("GET", "/recipients/u0@example.org", scope="read")

    assert status == 200
    assert (said["recipient"]["hard"], said["recipient"]["soft"]) == (1, 0)
    assert len(said["suppressions"]) == len(said["story"]) == 1
    assert said["decisions"][0]["action"] == "suppress"
    assert (await call("GET", "/recipients/never@example.org"))[0] == 404


async def test_inputs_are_listed(call, bounced):
    pages = await pages_of(call, "/inputs?state=done&limit=5")

    assert [len(page) for page in pages] == [5, 1]
    number = pages[0][0]["id"]
    assert await call("GET", f"/inputs/{number}", scope="read") == (200, pages[0][0])
    assert (await call("GET", "/inputs/999999"))[0] == 404


REFUSED = [
    ("GET", "/bounces?limit=0", None, "limit: Input should be greater than or equal to 1"),
    ("GET", "/bounces?limit=1001", None, "limit: Input should be less than or equal to 1000"),
    ("GET", "/bounces?cursor=abc", None, "cursor: is none of ours"),
    ("GET", "/bounces?cursor=WzBd", None, "cursor: is none of ours"),
    ("GET", "/bounces?cursor=WyJcdTAwMDAiXQ", None, "cursor: is none of ours"),
    ("GET", "/suppressions?cursor=WzFd", None, "cursor: is none of ours"),
    ("GET", "/bounces?since=yesterday", None, "since: Input should be a valid datetime"),
    ("GET", "/bounces?since=2026-01-01T00:00:00", None, "since: Input should have timezone"),
    ("GET", "/bounces?recipient=a%00b", None, "recipient: String should match pattern"),
    ("GET", "/bounces/0", None, "id: Input should be greater than or equal to 1"),
    ("GET", "/bounces/9223372036854775808", None, "id: Input should be less than"),
    ("GET", "/check", None, "email: Field required"),
    ("GET", "/check?email=a&scope=some", None, "scope: String should match pattern"),
    ("POST", "/check", {"emails": ["a"] * 10_001}, "emails: List should have at most 10000"),
    ("POST", "/check", {"emails": ["a\0b"]}, "emails.0: String should match pattern"),
    ("POST", "/check", [], "body: Input should be a valid dictionary"),
    ("PUT", "/suppressions/ann", {}, "address: not an address: 'ann'"),
    ("PUT", "/suppressions/a@b.org", {"until": "2020-01-01T00:00:00Z"}, "until: must be in"),
    (
        "PUT",
        "/suppressions/a@b.org",
        {"until": "9999-12-31T23:59:59-12:00"},
        "until: must be in",
    ),
]


async def test_what_cannot_be_is_refused_in_one_line(call):
    for method, path, body, message in REFUSED:
        status, said = await call(method, path, body)

        assert status == 422, path
        assert said["message"].startswith(message), path
        assert "\n" not in said["message"]


async def test_unknown_callers_learn_nothing(call, tokens):
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic #"}):
        for path in ("/api/v1/bounces", "/api/v1/there-is-no-such-path", "/api/v1/check"):
            status, said, answer = await call.ask("POST", path, "{" * 1000, headers)
            assert (status, said) == (
                401,
                {"message": "a token is needed: mtabounce token create"},
            )
            assert answer["www-authenticate"] == 'Basic realm="mtabounce"'


async def test_token_does_what_its_scope_says_and_no_more(call):
    assert (await call("GET", "/bounces", scope="ingest"))[0] == 403
    assert (await call("PUT", "/suppressions/a@b.org", {}, scope="read"))[0] == 403
    status, said = await call("DELETE", "/suppressions/a@b.org", scope="ingest")
    assert (status, said) == (403, {"message": "this token lacks the scope admin"})
    assert (await call("GET", "/bounces", scope="admin"))[0] == 200


async def test_too_large_and_broken_bodies_are_refused(call, tokens):
    async def posted(body, **headers):
        return (await call.ask("POST", "/api/v1/check", body, bearer(tokens["read"]) | headers))[0]

    assert await posted("x" * (2**20 + 1)) == 413
    assert await posted("[" * 100_000) in (400, 422)
    assert await posted('{"emails": [' + "9" * 10_000 + "]}") in (400, 422)
    assert await posted('{"emails": ["\\ud800"]}') == 422
    assert await posted("\xff" * 10) in (400, 422)
    assert await posted("{}", **{"Content-Type": "text/plain"}) == 422
    assert await posted('{"emails": []}') == 200


async def test_unknown_path_is_404_and_wrong_method_405(call):
    assert await call("GET", "/nothing") == (404, {"message": "there is no /api/v1/nothing"})
    assert (await call("PATCH", "/bounces"))[0] == 405


async def test_documents_need_nothing_from_elsewhere(call):
    status, page, headers = await call.ask("GET", "/docs")
    assert status == 200
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "//" not in page
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "start.js"):
        assert f"docs/{name}" in page
        assert (await call.ask("GET", f"/docs/{name}"))[0] == 200
    _, schema, _ = await call.ask("GET", "/openapi.json")
    assert {"/api/v1/bounces", "/webhooks/bounce", "/api/bounces", "/healthz"} <= set(
        schema["paths"]
    )


async def test_description_names_every_path_that_is_served(call, everything):
    _, schema, _ = await call.ask("GET", "/openapi.json")

    served = {route.path for route in everything}
    assert served - set(schema["paths"]) == {
        "/api/{rest:path}", "/api/v1/{rest:path}", "/docs", "/docs/{rest:path}", "/openapi.json",
    }  # fmt: skip


async def test_every_answer_has_an_example_that_keeps_to_its_description(call):
    _, schema, _ = await call.ask("GET", "/openapi.json")
    ours = {path: ways for path, ways in schema["paths"].items() if path.startswith("/api/v1/")}
    assert ours
    for path, ways in ours.items():
        for way, operation in ways.items():
            told = operation["responses"]["200"]["content"]["application/json"]
            description = told["schema"] | {"components": schema["components"]}
            assert jsonschema_rs.is_valid(description, told["example"]), (way, path)
            assert operation["summary"].endswith("."), (way, path)


async def test_examples_have_the_fields_that_answers_have(call, bounced):
    _, schema, _ = await call.ask("GET", "/openapi.json")
    paths = {"/bounces": "", "/inputs": "", "/suppressions": "", "/check": "?email=u0@example.org",
             "/recipients/{address}": "/u0@example.org"}  # fmt: skip
    for path, more in paths.items():
        _, said = await call("GET", path.replace("/{address}", "") + more)
        told = schema["paths"][f"/api/v1{path}"]["get"]["responses"]["200"]["content"]
        assert shape(told["application/json"]["example"]) == shape(said), path


def shape(value):
    """The names in *value*, and in the first of each list."""
    if isinstance(value, dict):
        names = {name: shape(item) for name, item in value.items() if name not in ("meta", "facts")}
        return dict(sorted(names.items()))
    return shape(value[0]) if isinstance(value, list) and value else None


async def test_nothing_that_the_description_allows_is_answered_with_5xx(call, tokens, bounced):
    _, description, _ = await call.ask("GET", "/openapi.json")
    schema = schemathesis.openapi.from_dict(description)
    schema.config.update(base_url=call.ask.address)
    tried = set()

    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def answers(case):
        tried.add(case.operation.label)
        case.call_and_validate(headers=bearer(tokens["admin"]), checks=[not_a_server_error])

    def try_all():
        for found in schema.get_all_operations():
            given(case=found.ok().as_strategy())(answers)()

    await asyncio.to_thread(try_all)

    assert len(tried) == sum(len(methods) for methods in description["paths"].values())
