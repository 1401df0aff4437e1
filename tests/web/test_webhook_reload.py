"""Webhooks whose settings are read anew, while requests are under way."""

import asyncio
import json

import pytest

from mtabounce.errors import ConfigError
from mtabounce.web.spool import Spool
from mtabounce.web.webhook_settings import WebhookSettings
from mtabounce.web.webhooks import Webhooks
from tests.web.test_webhooks import hexed, mailgun, seconds

BODY = b'{"type": "hard", "email": "ada@example.com"}'
PATH = "/webhooks/service/generic"


@pytest.fixture
def hooks(tmp_path, secret_file):
    class Hooks(Webhooks):
        def __init__(self):
            self.taken, self.came, self.may = [], asyncio.Event(), asyncio.Event()
            self.may.set()
            first = {"generic": signed_with("old"), "mailgun": signed_with("secret")}
            super().__init__(first, self.take, Spool(tmp_path / "spool", self.take))

        async def take(self, raw):
            self.came.set()
            await self.may.wait()
            self.taken.append(raw)

    def signed_with(*secrets, **more):
        return WebhookSettings(secret_files=tuple(map(secret_file, secrets)), **more)

    made = Hooks()
    made.signed_with = signed_with
    return made


def by(secret, body=BODY):
    return {"X-Signature": hexed(secret, body)}


async def test_new_secret_is_taken_and_the_old_one_is_not(serving, hooks):
    async with serving(before=hooks.before) as ask:
        assert (await ask("POST", PATH, BODY, by("old")))[0] == 200
        assert (await ask("POST", PATH, BODY, by("new")))[0] == 401
        hooks.reload({"generic": hooks.signed_with("old", "new")})
        assert (await ask("POST", PATH, BODY, by("old")))[0] == 200
        assert (await ask("POST", PATH, BODY, by("new")))[0] == 200
        hooks.reload(
            {
                "generic": hooks.signed_with("new"),
                "mine": hooks.signed_with("mine", provider="generic"),
            }
        )
        assert (await ask("POST", PATH, BODY, by("old")))[0] == 401
        assert (await ask("POST", PATH, BODY, by("new")))[0] == 200
        assert (await ask("POST", "/webhooks/service/mine", BODY, by("mine")))[0] == 200
        hooks.reload({})
        assert (await ask("POST", PATH, BODY, by("new")))[0] == 400
    assert hooks.refusals.seen("generic").refused == 3
    assert hooks.refusals.seen("mine").accepted == 1


async def test_request_under_way_ends_as_it_began(serving, hooks):
    hooks.may.clear()
    async with serving(before=hooks.before) as ask:
        asking = asyncio.create_task(ask("POST", PATH, BODY, by("old")))
        await hooks.came.wait()
        hooks.reload({})
        hooks.may.set()
        assert (await asking)[0] == 200
        assert (await ask("POST", PATH, BODY, by("old")))[0] == 400
    assert len(hooks.taken) == 1


async def test_wrong_settings_change_nothing(serving, hooks):
    sendgrid = hooks.signed_with("no key at all")
    with pytest.raises(ConfigError, match="public key"):
        hooks.reload({"generic": hooks.signed_with("new"), "sendgrid": sendgrid})
    async with serving(before=hooks.before) as ask:
        assert (await ask("POST", PATH, BODY, by("old")))[0] == 200


async def test_signature_that_was_used_stays_used(serving, hooks):
    body, _ = mailgun(b"", seconds())
    other = json.dumps(json.loads(body) | {"event-data": {"event": "failed"}}).encode()
    path = "/webhooks/service/mailgun"
    async with serving(before=hooks.before) as ask:
        assert (await ask("POST", path, body))[0] == 200
        hooks.reload({"mailgun": hooks.signed_with("secret")})
        assert (await ask("POST", path, other))[0] == 401
        assert (await ask("POST", path, body))[0] == 200
