"""What listmonk's documentation of bounces says, word for word: commands, settings, SQL, SES."""

import asyncio
import json
from datetime import UTC, datetime

from mtabounce.policy import PolicySettings
from mtabounce.store.connection import connect_sync
from mtabounce.store.tokens import create
from mtabounce.web.http_settings import HttpSettings
from mtabounce.web.spool import Spool
from mtabounce.web.webhook_settings import WebhookSettings
from mtabounce.web.webhooks import Webhooks
from tests.web.test_listmonk import DOCUMENTED
from tests.web.test_webhooks import CERTIFICATE, TOPIC, Fetched, certificate, message
from tests.working import worked

RECORD = r"""curl -u 'api_username:access_token' -X POST 'http://localhost:9000/webhooks/bounce' \
	-H "Content-Type: application/json" \
	--data '{"email": "user1@mail.com", "campaign_uuid": "9f86b50d-5711-41c8-ab03-bc91c43d711b", "source": "api", "type": "hard", "meta": "{\"additional\": \"info\"}}'
"""  # noqa: E501 (as it stands there, without the quote that would end meta)
EXPORT = "curl -u 'username:passsword' 'http://localhost:9000/api/bounces'"
POLICY = PolicySettings(preset="listmonk")


async def shell(command):
    run = await asyncio.create_subprocess_shell(command, stdout=-1, stderr=-1)
    out, err = await run.communicate()
    assert run.returncode == 0, err
    return json.loads(out)


async def test_its_commands_record_and_export_a_bounce(
    serving, everything, connecting, database_url, conn
):
    assert str(HttpSettings().listen) == "127.0.0.1:9000"
    with connect_sync(database_url, application_name="test") as sync:
        token = create(sync, "api_username", ["ingest", "read"])

    async with serving(everything) as ask:

        def here(command, username, password):
            mine = command.replace("http://localhost:9000", ask.address)
            assert mine != command
            return mine.replace(f"{username}:{password}", f"api_username:{token}")

        assert await shell(here(RECORD, "api_username", "access_token")) == {"data": True}
        await worked(connecting, POLICY)
        found = await shell(here(EXPORT, "username", "passsword"))

    (bounce,) = found["data"]["results"]
    assert (bounce["email"], bounce["type"], bounce["source"]) == ("user1@mail.com", "hard", "api")
    assert bounce["meta"] == '{"additional": "info"}'
    assert bounce["campaign"]["name"] == "9f86b50d-5711-41c8-ab03-bc91c43d711b"
    assert bounce["subscriber_status"] == "blocklisted"
    await conn.execute("SET search_path = listmonk")
    cursor = await conn.execute(DOCUMENTED)
    assert [column.name for column in cursor.description] == [
        "created_at", "subscriber_id", "subscriber_uuid", "email",
    ]  # fmt: skip
    ((at, number, uuid, email),) = await cursor.fetchall()
    assert at == datetime.fromisoformat(bounce["created_at"])
    assert (number, str(uuid)) == (bounce["subscriber_id"], bounce["subscriber_uuid"])
    assert email == "user1@mail.com"


async def test_its_settings_count_as_it_says(serving, everything, connecting, tokens):
    headers = {"Authorization": f"Bearer {tokens['admin']}"}
    counts = {"soft1": ["soft"], "soft2": ["soft"] * 2, "soft9": ["soft"] * 9,
              "hard": ["hard"], "complaint": ["complaint"]}  # fmt: skip
    async with serving(everything) as ask:
        for name, kinds in counts.items():
            for day, kind in enumerate(kinds):
                at = f"2026-11-{day + 1:02}T10:00:00Z"
                bounce = {"email": f"{name}@mail.com", "type": kind, "created_at": at}
                assert (await ask("POST", "/webhooks/bounce", json.dumps(bounce), headers))[
                    0
                ] == 200
        await worked(connecting, POLICY)
        _, said, _ = await ask("GET", "/api/bounces?per_page=all", None, headers)

    status = {
        one["email"].split("@")[0]: one["subscriber_status"] for one in said["data"]["results"]
    }
    assert status == {"soft1": "enabled", "soft2": "enabled", "soft9": "enabled",
                      "hard": "blocklisted", "complaint": "blocklisted"}  # fmt: skip


def notification(name, told):
    """What SES says of a mail to its simulator, with the original headers included."""
    address, at = f"{name}@simulator.amazonses.com", datetime.now(UTC).isoformat()
    mail = {
        "timestamp": at,
        "messageId": f"0100-{name}",
        "destination": [address],
        "headersTruncated": False,
        "headers": [
            {"name": "To", "value": address},
            {"name": "X-Listmonk-Campaign", "value": "9f86b50d-5711-41c8-ab03-bc91c43d711b"},
        ],
        "commonHeaders": {"to": [address], "messageId": f"<{name}@mail.com>"},
    }
    for value in told.values():
        if isinstance(value, dict):
            value |= {"timestamp": at, "feedbackId": f"0102-{name}"}
    return message(MessageId=f"m-{name}", Message=json.dumps(told | {"mail": mail}))


def bounce(kind, subtype, name, **more):
    recipient = {"emailAddress": f"{name}@simulator.amazonses.com"} | more
    told = {"bounceType": kind, "bounceSubType": subtype, "bouncedRecipients": [recipient]}
    return notification(name, {"notificationType": "Bounce", "bounce": told})


SIMULATOR = [
    bounce("Transient", "General", "ooto"),
    bounce(
        "Permanent",
        "General",
        "bounce",
        action="failed",
        status="5.1.1",
        diagnosticCode="smtp; 550 5.1.1 user unknown",
    ),
    notification(
        "complaint",
        {
            "notificationType": "Complaint",
            "complaint": {
                "complainedRecipients": [{"emailAddress": "complaint@simulator.amazonses.com"}],
                "complaintFeedbackType": "abuse",
            },
        },
    ),
]


async def test_its_steps_for_ses_lead_to_bounces_and_complaints(
    serving, everything, inbox, connecting, tokens, tmp_path
):
    fetch = Fetched(certificate())
    settings = {"ses": WebhookSettings(topic_arns=(TOPIC,))}
    webhooks = Webhooks(settings, inbox.append, Spool(tmp_path, inbox.append), fetch)
    headers = {"Authorization": f"Bearer {tokens['read']}"}

    async with serving(everything, before=webhooks.before) as ask:

        async def told(message):
            # SNS posts JSON, and says that it is text.
            plain = {"Content-Type": "text/plain; charset=UTF-8"}
            return await ask("POST", "/webhooks/service/ses", json.dumps(message), plain)

        assert (await told(message("SubscriptionConfirmation")))[0] == 200
        assert [url.partition("?")[0] for url in fetch] == [
            CERTIFICATE, "https://sns.eu-west-1.amazonaws.com/",
        ]  # fmt: skip
        for one in SIMULATOR:
            assert (await told(one))[:2] == (200, {"data": True})
        await worked(connecting, POLICY)
        _, said, _ = await ask("GET", "/api/bounces?order_by=type", None, headers)
        _, away, _ = await ask(
            "GET", "/api/v1/check?email=ooto@simulator.amazonses.com", None, headers
        )

    found = said["data"]["results"]
    assert [(one["email"].split("@")[0], one["type"]) for one in found] == [
        ("bounce", "hard"), ("complaint", "complaint"),
    ]  # fmt: skip
    assert {one["subscriber_status"] for one in found} == {"blocklisted"}
    assert {one["campaign"]["name"] for one in found} == {"9f86b50d-5711-41c8-ab03-bc91c43d711b"}
    assert not away["suppressed"]  # an out-of-office reply is not a bounce
