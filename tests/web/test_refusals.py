"""What is refused is counted, kept within bounds, and shown without its secrets."""

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest

from mtabounce.errors import StoreUnavailable
from mtabounce.pipeline.retention import retain
from mtabounce.pipeline.settings import RetentionSettings
from mtabounce.store import webhooks as store
from mtabounce.web import refusals as module
from mtabounce.web.refusals import (
    KEPT,
    KEPT_OCTETS,
    KEPT_OF_A_KIND,
    Hidden,
    Refusals,
    without_secrets,
)
from mtabounce.web.request import Posted, Refused
from mtabounce.web.spool import Spool
from mtabounce.web.webhook import Webhook
from mtabounce.web.webhook_settings import WebhookSettings
from mtabounce.web.webhooks import Webhooks

PATH = "/webhooks/service/postmark"
WRONG = Refused(401, "wrong signature")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "PAUSE", 0.05)


@asynccontextmanager
async def writing(refusals, connecting):
    running = asyncio.create_task(refusals.run(connecting))
    yield
    await asyncio.sleep(0.4)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


def posted(body=b"{}", **headers):
    return Posted(headers=headers, query={}, body=body, peer="192.0.2.7")


async def fetched(conn, query):
    return await (await conn.execute(query)).fetchall()


async def test_refused_request_is_kept_with_its_reason_and_without_its_password(
    serving, inbox, connecting, conn, tmp_path, secret_file
):
    settings = {"postmark": WebhookSettings(username="u", password_file=secret_file("p"))}
    webhooks = Webhooks(settings, inbox.append, Spool(tmp_path, inbox.append))
    async with serving(before=webhooks.before) as ask, writing(webhooks.refusals, connecting):
        body = json.dumps({"RecordType": "Open"})
        refused, _, _ = await ask("POST", PATH, body, {"Authorization": "Basic dTp3cm9uZw=="})
        taken, _, _ = await ask("POST", PATH, body, {"Authorization": "Basic dTpw"})

    assert (refused, taken) == (401, 200)
    (row,) = await fetched(conn, "SELECT accepted, refused, why FROM mtabounce.webhooks")
    assert row == (1, 1, "wrong user name or password")
    ((why, peer, headers, kept),) = await fetched(
        conn, "SELECT why, peer, headers, body FROM mtabounce.webhook_refusals"
    )
    assert (why, peer, kept) == ("wrong user name or password", "127.0.0.1", body.encode())
    assert headers["authorization"] == "***"
    assert "dTp3" not in json.dumps(headers)


async def test_what_was_refused_just_before_we_stop_is_kept(connecting, conn, monkeypatch):
    monkeypatch.setattr(module, "PAUSE", 60.0)
    refusals = Refusals(["postmark"])
    running = asyncio.create_task(refusals.run(connecting))
    await asyncio.sleep(0)
    refusals.refused("postmark", posted(), WRONG)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    kept = await fetched(conn, "SELECT why FROM mtabounce.webhook_refusals")
    assert kept == [("wrong signature",)]


async def test_who_posts_too_much_to_be_read_is_known(serving, inbox, connecting, conn, tmp_path):
    settings = {"postmark": WebhookSettings(auth="none", max_size=10)}
    webhooks = Webhooks(settings, inbox.append, Spool(tmp_path, inbox.append))
    async with serving(before=webhooks.before) as ask, writing(webhooks.refusals, connecting):
        assert (await ask("POST", PATH, "x" * 11, {}))[0] == 413

    kept = await fetched(conn, "SELECT status, peer FROM mtabounce.webhook_refusals")
    assert kept == [(413, "127.0.0.1")]


async def test_flood_of_refused_requests_is_counted_and_a_few_are_kept(connecting, conn):
    refusals = Refusals(["postmark"])
    told = [refusals.refused("postmark", posted(), WRONG) for _ in range(5_000)]
    big = [refusals.refused("postmark", posted(b"x" * 600_000), WRONG) for _ in range(3)]

    async with writing(refusals, connecting):
        pass

    assert sum(told) == KEPT_OF_A_KIND
    assert not any(big)
    other = [refusals.refused("postmark", posted(), Refused(401, "stale")) for _ in range(99)]
    assert sum(other) == KEPT - KEPT_OF_A_KIND  # a flood leaves room for others
    assert await fetched(conn, "SELECT refused FROM mtabounce.webhooks") == [(5_003,)]
    rows = await fetched(conn, "SELECT count(*) FROM mtabounce.webhook_refusals")
    assert rows == [(KEPT_OF_A_KIND,)]


def test_bodies_of_a_minute_are_bounded_and_what_was_cut_tells_its_size():
    refusals = Refusals(["postmark"])

    for _ in range(KEPT):
        refusals.refused("postmark", posted(b"x" * 300_000), WRONG)

    waiting = refusals.seen("postmark").waiting
    assert sum(len(one.body) for one in waiting) <= KEPT_OCTETS
    assert {one.size for one in waiting} == {300_000}


async def test_only_the_latest_are_kept_and_for_as_long_as_retention_says(connecting, conn):
    now = datetime.now(UTC)
    old = now - timedelta(days=31)
    rows = [
        store.Refusal(webhook=name, refused_at=at, status=401, why="w", peer="", headers={},
                      body=b"b", size=1)
        for name, at, count in (("a", now, 150), ("b", old, 5))
        for _ in range(count)
    ]  # fmt: skip

    await store.note(conn, [], rows)

    left = "SELECT webhook, count(*) FROM mtabounce.webhook_refusals GROUP BY 1 ORDER BY 1"
    assert await fetched(conn, left) == [("a", store.MOST), ("b", 5)]

    await retain(conn, RetentionSettings(), now)
    assert await fetched(conn, left) == [("a", store.MOST)]


async def test_counts_wait_while_the_database_is_away(connecting, conn):
    refusals, away = Refusals(["postmark"]), True

    async def connect():
        if away:
            raise StoreUnavailable("away")
        return await connecting()

    refusals.accepted("postmark")
    async with writing(refusals, connect):
        await asyncio.sleep(0.2)
        away = False

    assert await fetched(conn, "SELECT accepted FROM mtabounce.webhooks") == [(1,)]


def test_names_that_are_no_webhook_are_not_remembered():
    refusals = Refusals(["postmark"])

    assert not refusals.refused("x" * 1000, posted(), WRONG)
    assert refusals.seen("x" * 1000).refused == 0


def test_secrets_in_headers_are_masked_and_signatures_are_not():
    shown = without_secrets(
        {"authorization": "Bearer a", "x-webhook-token": "b", "cookie": "c", "svix-signature": "d"}
    )

    assert shown == {"authorization": "***", "x-webhook-token": "***", "cookie": "***",
                     "svix-signature": "d"}  # fmt: skip


def test_what_a_table_of_the_user_holds_secrets_in_is_masked(secret_file):
    settings = WebhookSettings(
        secret_files=(secret_file("hunter2"),),
        table={"events": [["a", "hard"]], "auth": {"kind": "token", "header": "X-My-Hook"}},
    )
    hidden = Webhook("house", settings, None).hidden
    shown = without_secrets({"x-my-hook": "hunter1", "x-other": "is hunter2", "x": "y"}, hidden)

    assert shown == {"x-my-hook": "***", "x-other": "***", "x": "y"}
    assert without_secrets({"x-my-hook": "y"}, Hidden()) == {"x-my-hook": "y"}
