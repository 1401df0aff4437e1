"""From a request to a bounce, through an absent database, broken files and repetitions."""

import asyncio
import json
from datetime import UTC, datetime
from itertools import permutations

import pytest

from mtabounce.errors import StoreUnavailable, TryAgainLater
from mtabounce.model import RawInput
from mtabounce.web import spool as module
from mtabounce.web.spool import Spool
from mtabounce.web.webhook_settings import WebhookSettings
from mtabounce.web.webhooks import Webhooks
from tests.working import worked

EVENT = {
    "event": "bounce",
    "type": "bounce",
    "email": "Ada@example.com",
    "timestamp": int(datetime.now(UTC).timestamp()),
    "sg_message_id": "m.filter1",
    "reason": "550 5.1.1 no such user",
    "X-Listmonk-Campaign": "9f86b50d-5711-41c8-ab03-bc91c43d711b",
}
OPEN = {"sendgrid": WebhookSettings(auth="none")}
PATH = "/webhooks/service/sendgrid"


async def away(raw):
    raise StoreUnavailable("away")


def raw(number):
    return RawInput(
        source="webhook:sendgrid",
        content=b"\r\n[%d]\r\n\xff" % number,
        received_at=datetime.now(UTC),
        peer="192.0.2.1",
        trusted=True,
    )


async def rows(conn, text):
    cursor = await conn.execute(text)
    return await cursor.fetchall()


async def test_event_becomes_one_bounce_however_often_it_comes(
    serving, inbox, connecting, conn, tmp_path
):
    webhooks = Webhooks(OPEN, inbox.append, Spool(tmp_path, inbox.append))
    async with serving(before=webhooks.before) as ask:
        bodies = [json.dumps([EVENT | {"sg_event_id": str(number)}]) for number in range(500)]
        answers = await asyncio.gather(*(ask("POST", PATH, body) for body in bodies))
    await worked(connecting)

    assert {(status, str(said)) for status, said, _ in answers} == {(200, "{'data': True}")}
    assert await rows(conn, "SELECT count(*) FROM mtabounce.inputs WHERE state = 'done'") == [
        (500,)
    ]
    (found,) = await rows(
        conn,
        "SELECT recipient, b.type, reason, observations, sources, campaign, meta->>'native_code'"
        " FROM mtabounce.bounces b JOIN mtabounce.campaigns c ON c.id = campaign_id",
    )
    assert found[:4] == ("ada@example.com", "hard", "user_unknown", 1)
    assert found[4:6] == (["webhook:sendgrid"], EVENT["X-Listmonk-Campaign"])


async def test_order_in_which_events_come_makes_no_difference(
    serving, inbox, connecting, conn, tmp_path
):
    now = int(datetime.now(UTC).timestamp())
    told = [
        {"type": "soft", "reply": "452 4.2.2 mailbox full", "at": now - 300},
        {"type": "deferred", "reply": "451 4.7.1 later", "at": now - 200},
        {"type": "hard", "reply": "550 5.1.1 no such user", "at": now - 100},
        {"type": "delivered", "at": now - 50},
    ]
    orders = list(permutations(range(4)))
    webhooks = Webhooks(
        {"generic": WebhookSettings(auth="none")}, inbox.append, Spool(tmp_path, inbox.append)
    )
    async with serving(before=webhooks.before) as ask:
        for number, order in enumerate(orders):
            for place in order:
                event = told[place] | {
                    "email": f"r{number}@example.com",
                    "message_id": f"m{number}",
                }
                await ask("POST", "/webhooks/service/generic", json.dumps(event))
    await worked(connecting)

    found = await rows(
        conn,
        "SELECT type, reason, status, reply_code, fault, observations, trust, last_seen_at"
        " FROM mtabounce.bounces ORDER BY recipient",
    )
    assert len(found) == len(orders)
    assert len(set(found)) == 1
    assert found[0][:2] == ("hard", "user_unknown")


async def test_events_of_one_batch_on_one_recipient_are_bounces_of_their_own(
    serving, inbox, connecting, conn, tmp_path
):
    batch = [EVENT | {"sg_message_id": f"m{number}"} for number in range(999)]
    batch.insert(500, "poison")
    webhooks = Webhooks(OPEN, inbox.append, Spool(tmp_path, inbox.append))
    async with serving(before=webhooks.before) as ask:
        status, _, _ = await ask("POST", PATH, json.dumps(batch))
    await worked(connecting)

    assert status == 200
    assert await rows(conn, "SELECT count(*) FROM mtabounce.bounces") == [(999,)]
    assert await rows(conn, "SELECT error FROM mtabounce.inputs") == [("bad element: str ×1",)]


async def test_what_comes_while_the_database_is_away_is_kept_and_handed_on_in_order(
    serving, tmp_path
):
    taken = []

    async def accept(one):
        taken.append(one)

    webhooks = Webhooks(OPEN, away, Spool(tmp_path, away))
    async with serving(before=webhooks.before) as ask:
        statuses = [(await ask("POST", PATH, json.dumps([number])))[0] for number in range(20)]
    await Spool(tmp_path, away).drain()
    await Spool(tmp_path, accept).drain()

    assert statuses == [200] * 20
    assert [json.loads(one.content.partition(b"\r\n\r\n")[2] or one.content) for one in taken] == [
        [number] for number in range(20)
    ]
    assert list(tmp_path.iterdir()) == []


async def test_file_that_was_not_finished_is_never_handed_on(tmp_path):
    (tmp_path / "1.draft").write_bytes(b"{")

    await Spool(tmp_path, away).drain()

    assert [path.name for path in tmp_path.iterdir()] == ["1.draft"]


async def test_full_disk_is_answered_with_503_and_nothing_is_left(
    serving, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(module, "MAX_OCTETS", 10)
    webhooks = Webhooks(OPEN, away, Spool(tmp_path, away))
    async with serving(before=webhooks.before) as ask:
        for _ in range(3):
            status, said, headers = await ask("POST", PATH, json.dumps([EVENT]))

            assert (status, said) == (503, {"message": "try again later"})
            assert headers["retry-after"] == "30"
    assert list(tmp_path.iterdir()) == []
    assert caplog.text.count("webhook sendgrid: ") == 1  # it may be the log's disk, too


async def test_folder_that_cannot_be_written_is_our_trouble(tmp_path):
    (tmp_path / "spool").write_text("a file")

    with pytest.raises(TryAgainLater):
        await Spool(tmp_path / "spool", away).keep(raw(1))


async def test_limits_are_kept_before_anything_is_read(serving, tmp_path):
    small = {"sendgrid": WebhookSettings(auth="none", max_size=100)}
    webhooks = Webhooks(small, away, Spool(tmp_path, away))
    async with serving(before=webhooks.before) as ask:
        big, _, _ = await ask("POST", PATH, b"x" * 101)
        chunked, _, _ = await ask("POST", PATH, iter([b"x" * 60, b"x" * 60]))
        packed, _, _ = await ask("POST", PATH, b"x", {"Content-Encoding": "gzip"})

    assert (big, chunked, packed) == (413, 413, 415)


async def test_get_says_what_the_webhook_is(serving, tmp_path):
    webhooks = Webhooks({**OPEN, "ses": WebhookSettings()}, away, Spool(tmp_path, away))
    async with serving(before=webhooks.before) as ask:
        on = await ask("GET", PATH)
        off = await ask("GET", "/webhooks/service/ses")
        none = await ask("GET", "/webhooks/service/nobody")
        probe, _, headers = await ask("OPTIONS", PATH, headers={"WebHook-Request-Origin": "a.b"})

    assert on[0] == 200
    assert "the webhook for SendGrid. It takes POST; nothing accepted since" in on[1]
    assert off[1] == "mtabounce: this webhook has no secret yet.\n"
    assert none[1] == "mtabounce: this webhook is not known.\n"
    assert (probe, headers["webhook-allowed-origin"]) == (200, "a.b")


async def test_unknown_and_disabled_services_are_answered_as_listmonk_does(
    serving, tmp_path, caplog
):
    topic = "arn:aws:sns:eu-west-1:123456789012:ses-bounces"
    off = {"postmark": WebhookSettings(), "ses-shop": WebhookSettings(provider="ses")}
    webhooks = Webhooks(off, away, Spool(tmp_path, away))
    async with serving(before=webhooks.before) as ask:
        body = json.dumps({"Type": "SubscriptionConfirmation", "TopicArn": topic})
        answers = [
            (await ask("POST", f"/webhooks/service/{name}", body))[:2]
            for name in ("postmark", "nobody", "ses", "ses-shop")
        ]

    assert answers == [(400, {"message": "Unknown service."})] * 4
    for name in ("ses", "ses-shop"):  # without a section, and with one that allows no topic yet
        assert f'[webhooks.{name}] topic_arns = ["{topic}"]' in caplog.text


async def test_failure_to_authenticate_is_401_and_says_no_more(serving, tmp_path):
    webhooks = Webhooks(
        {"ses": WebhookSettings(topic_arns=("arn:aws:sns:eu-west-1:123456789012:x",))},
        away,
        Spool(tmp_path, away),
    )
    async with serving(before=webhooks.before) as ask:
        status, said, headers = await ask(
            "POST", "/webhooks/service/ses", '{"Type": "Notification"}'
        )

    assert (status, said) == (401, {"message": "unauthorized"})
    assert headers["www-authenticate"].startswith("Basic ")


async def test_nothing_that_a_stranger_posts_is_our_mistake(serving, tmp_path):
    hooks = Webhooks(OPEN, away, Spool(tmp_path / "spool", away))
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    async with serving(before=hooks.before) as ask:
        for body in ("Type=Notification", '{"Type": "Notification", "TopicArn": 5}', "[" * 9999):
            status, said, _ = await ask("POST", "/webhooks/service/brevo", body, form)
            assert (status, said) == (400, {"message": "Unknown service."}), body


async def test_mistake_of_our_own_is_told_in_one_shape_and_logged_once(serving, tmp_path, caplog):
    async def broken(raw):
        raise KeyError(raw.source)

    hooks = Webhooks(OPEN, broken, Spool(tmp_path / "spool", away))
    async with serving(before=hooks.before) as ask:
        for _ in range(3):
            status, said, _ = await ask("POST", PATH, "[]")
            assert (status, said) == (500, {"message": "Internal server error"})
    assert caplog.text.count("could not be looked at") == 1


async def test_body_of_unknown_length_is_read_to_the_limit_and_no_further(serving, tmp_path):
    small = {"sendgrid": WebhookSettings(auth="none", max_size=1000)}
    hooks = Webhooks(small, away, Spool(tmp_path / "spool", away))
    async with serving(before=hooks.before) as ask:
        for size, status in ((1000, 200), (1001, 413)):
            chunked = (
                (b"x" * 100 for _ in range(size // 100))
                if size % 100 == 0
                else iter([b"x" * 500, b"x" * (size - 500)])
            )
            assert (await ask("POST", PATH, chunked))[0] == status
