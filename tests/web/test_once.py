"""Signatures that leave out the body, across restarts and processes: good for one body."""

import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest

from mtabounce.errors import StoreUnavailable
from mtabounce.pipeline.decide import Recorder
from mtabounce.pipeline.rewrite import judged_again
from mtabounce.policy import PolicySettings
from mtabounce.providers.request import USED, pack, signature_of, unpack
from mtabounce.store.rewrite import Selection
from mtabounce.verp import Keyring
from mtabounce.web.spool import Spool
from mtabounce.web.webhook_settings import WebhookSettings
from mtabounce.web.webhooks import Webhooks
from tests.working import judging, worked

PATH = "/webhooks/service/mailgun"


def signed(token):
    ts = str(int(datetime.now(UTC).timestamp()))
    proof = hmac.new(b"secret", f"{ts}{token}".encode(), hashlib.sha256).hexdigest()
    return {"timestamp": ts, "token": token, "signature": proof}


def told(signature, recipient):
    event = {
        "event": "failed", "severity": "permanent", "recipient": recipient,
        "timestamp": float(signature["timestamp"]),
        "delivery-status": {"code": 550, "message": "5.1.1 no such user"},
    }  # fmt: skip
    return json.dumps({"signature": signature, "event-data": event})


@pytest.fixture
def started(inbox, tmp_path, secret_file):
    """Return webhooks as they are after a start: they remember nothing."""
    settings = {"mailgun": WebhookSettings(secret_files=(secret_file("secret"),))}
    return lambda accept=inbox.append: Webhooks(
        settings, accept, Spool(tmp_path / "spool", inbox.append)
    )


async def fetched(conn, text):
    return await (await conn.execute(text)).fetchall()


async def posted(serving, webhooks, body, **headers):
    async with serving(before=webhooks.before) as ask:
        return (await ask("POST", PATH, body, headers))[0]


async def test_signature_is_good_for_one_body_after_a_restart(serving, connecting, conn, started):
    proof = signed("t")
    own, forged = told(proof, "own@example.com"), told(proof, "victim@example.com")
    assert await posted(serving, started(), own) == 200
    await worked(connecting)
    assert await posted(serving, started(), own) == 200
    assert await posted(serving, started(), forged) == 200  # nothing in this process says more
    await worked(connecting)

    assert await fetched(conn, "SELECT recipient FROM bounces") == [("own@example.com",)]
    assert await fetched(conn, "SELECT outcome, error FROM inputs ORDER BY id") == [
        ("bounce", ""), ("bounce", ""), ("unrecognized", USED),
    ]  # fmt: skip

    again = judging()
    try:
        batches = judged_again(
            connecting, again, Keyring(), Selection(), Recorder(PolicySettings()), write=True
        )
        assert [one async for step in batches for one in step.found] == []
    finally:
        await again.close()


async def test_the_first_body_of_one_batch_is_the_one(serving, connecting, conn, started):
    proof = signed("t")
    for name in ("own", "second", "third"):
        assert await posted(serving, started(), told(proof, f"{name}@example.com")) == 200
    await worked(connecting)

    assert await fetched(conn, "SELECT recipient FROM bounces") == [("own@example.com",)]


async def test_what_was_spooled_is_good_for_one_body_too(serving, inbox, connecting, conn, started):
    async def away(raw):
        raise StoreUnavailable("away")

    proof = signed("t")
    while_away = started(away)
    assert await posted(serving, while_away, told(proof, "own@example.com")) == 200
    await while_away._spool.drain()
    assert await posted(serving, started(), told(proof, "victim@example.com")) == 200
    await worked(connecting)

    assert await fetched(conn, "SELECT recipient FROM bounces") == [("own@example.com",)]


async def test_header_of_our_own_is_taken_from_nobody(serving, connecting, conn, started):
    names = ("one", "two")
    for name in names:
        body = told(signed(name), f"{name}@example.com")
        mark = {"X-Mtabounce-Signed-Id": "0" * 64}
        assert await posted(serving, started(), body, **mark) == 200
    await worked(connecting)

    assert len(await fetched(conn, "SELECT FROM bounces")) == len(names)
    assert len(await fetched(conn, "SELECT FROM webhook_signatures")) == len(names)


def test_signature_stands_before_what_the_client_sent():
    headers = {"x-mtabounce-signed-id": "00", "svix-id": "s"}
    content = pack(headers, b"body", b"signed")

    assert unpack(content) == (
        {"x-mtabounce-signed-id": hashlib.sha256(b"signed").hexdigest(), "svix-id": "s"}, b"body",
    )  # fmt: skip
    assert signature_of(content) == (
        hashlib.sha256(b"signed").digest()[:16], hashlib.sha256(b"body").digest()[:16],
    )  # fmt: skip
    assert signature_of(pack(headers, b"body")) is None
