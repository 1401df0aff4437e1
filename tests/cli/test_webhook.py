"""The commands on one's own webhooks, against a server that takes what they post."""

import asyncio
import json
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from mtabounce import assembly
from mtabounce.cli import mtabounce
from mtabounce.cli.webhook._advice import ADVICE
from mtabounce.config import ListenAddress
from mtabounce.pipeline.decide import Recorder
from mtabounce.pipeline.inbox import Inbox
from mtabounce.pipeline.judging import Judging
from mtabounce.pipeline.worker import Worker
from mtabounce.policy import PolicySettings
from mtabounce.providers.request import USED
from mtabounce.settings import load_settings
from mtabounce.store.connection import connect
from mtabounce.web import refusals
from mtabounce.web.app import application
from mtabounce.web.server import HttpServer
from mtabounce.web.spool import Spool
from mtabounce.web.webhooks import Webhooks
from tests.live.processes import free_port, wait_until
from tests.web.test_server import make_certificate
from tests.web.test_webhooks import EC, public

CONFIG = """
[database]
url = "{url}"
[state]
directory = "{folder}/state"
[http]
listen = "127.0.0.1:{port}"
[webhooks.postmark]
username = "postmark"
password_file = "{folder}/password"
[webhooks.mailgun]
secret_files = ["{folder}/secret"]
[webhooks.sendgrid]
secret_files = ["{folder}/test.key.pub"]
[webhooks.brevo]
[webhooks.azure]
auth = "none"
[webhooks.house]
secret_files = ["{folder}/secret"]
[webhooks.house.table]
title = "Our own program"
key = ["what"]
events = [["gone", "hard"], ["full", "mailbox_full"]]
recipient = "who.mail"
reply = "said"
sample = '{{"what": "gone", "who": {{"mail": "$recipient"}}, "said": "550 5.1.1 no such user"}}'
[webhooks.house.table.auth]
kind = "hmac"
header = "X-House"
over = "{{body}}"
"""


def secret(folder, name, text):
    path = folder / name
    path.write_text(text)
    path.chmod(0o600)
    return path


@pytest.fixture
def config(database_url, tmp_path):
    path = tmp_path / "mtabounce.toml"
    path.write_text(CONFIG.format(url=database_url, folder=tmp_path, port=free_port()))
    secret(tmp_path, "password", "p@ss")
    secret(tmp_path, "secret", "c2VjcmV0")
    secret(tmp_path, "test.key.pub", public(EC))  # until it is made
    run(path, "webhook", "send-test", "sendgrid", "--make-key", str(tmp_path / "other.key"))
    (tmp_path / "test.key.pub").write_bytes((tmp_path / "other.key.pub").read_bytes())
    return path


def run(config, *words):
    return CliRunner().invoke(mtabounce, ["--config", str(config), *words])


@pytest.fixture
def served(config, monkeypatch):
    """The webhooks of the configuration, a worker behind them, in a thread."""
    monkeypatch.setattr(refusals, "PAUSE", 0.05)
    with serving(config):
        yield config


@contextmanager
def serving(config):
    ready, done = threading.Event(), threading.Event()
    thread = threading.Thread(target=asyncio.run, args=[_serve(load_settings(config), ready, done)])
    thread.start()
    try:
        assert ready.wait(60)
        yield
    finally:
        done.set()
        thread.join()


async def _serve(settings, ready, done):
    connecting = partial(connect, settings.database.url, application_name="test")
    wake = asyncio.Event()
    inbox = Inbox(connecting, wake.set)
    webhooks = Webhooks(settings.webhooks, inbox.append, Spool(settings.state.directory, None))
    server = HttpServer(settings.http, webhooks.before(_app()))
    judging = Judging(assembly.judging(settings), deadline=10, memory=2**28)
    worker = Worker(connecting, judging, Recorder(PolicySettings()), wake)
    tasks = [
        asyncio.create_task(one)
        for one in (inbox.run(), worker.run(), webhooks.refusals.run(connecting))
    ]
    await server.start()
    ready.set()
    await asyncio.to_thread(done.wait)
    await server.close()
    worker.stop()
    inbox.close()
    await asyncio.wait(tasks[:2], timeout=60)
    tasks[2].cancel()
    await asyncio.wait(tasks)


def _app():
    async def none():
        return {}

    return application(none)


@pytest.mark.parametrize(
    ("name", "words"),
    [("postmark", []), ("mailgun", []), ("house", []), ("sendgrid", ["--key", "other.key"])],
)
def test_sample_becomes_a_bounce(served, tmp_path, name, words):
    words = [str(tmp_path / word) if word.endswith(".key") else word for word in words]

    result = run(served, "webhook", "send-test", name, *words)

    assert ": 200 " in result.output
    assert "It became bounce" in result.output
    assert ", hard, user_unknown." in result.output
    assert result.exit_code == 0


def test_sample_is_posted_over_tls_where_that_is_served(config, tmp_path):
    certificate, key = make_certificate(tmp_path, "a")
    lines = f'tls_certificate_file = "{certificate}"\ntls_key_file = "{key}"\n'
    config.write_text(config.read_text().replace("[http]\n", f"[http]\n{lines}"))
    with serving(config):
        posted = run(config, "webhook", "send-test", "postmark")
        other, _ = make_certificate(tmp_path, "b")
        config.write_text(config.read_text().replace(str(certificate), str(other)))
        stranger = run(config, "webhook", "send-test", "postmark")

    assert posted.output.startswith("POST https://127.0.0.1:"), posted.exception
    assert "It became bounce 1: webhook-test-" in posted.output
    assert "CERTIFICATE_VERIFY_FAILED" in str(stranger.exception)


def test_provider_with_a_private_key_is_said_to_refuse_strangers(served):
    result = run(served, "webhook", "send-test", "sendgrid")

    assert ": 401 " in result.output
    assert "refuses what a stranger signed, as it must" in result.output
    assert result.exit_code == 0


def test_refused_request_is_shown_and_replayed_once_the_secret_is_right(served, tmp_path):
    good = tmp_path / "secret"
    good.write_text("the new one of the provider")
    sent = run(served, "webhook", "send-test", "mailgun", "--recipient", "eva@example.net")
    assert "webhook doctor" in sent.output
    assert sent.exit_code == 1

    def told():
        return json.loads(run(served, "webhook", "doctor", "mailgun", "--json").output)

    wait_until(lambda: told()["refusals"], "the refused request is shown")
    (refusal,) = told()["refusals"]
    assert (refusal["why"], refusal["status"]) == ("wrong signature", 401)
    assert "eva@example.net" in refusal["body"]
    assert refusal["mend"].startswith("copy the secret once more")
    shown = run(served, "webhook", "doctor", "mailgun").output
    assert f"mtabounce webhook replay mailgun {refusal['id']}" in shown

    replayed = run(served, "webhook", "replay", "mailgun")

    assert "1 taken, 0 refused once more." in replayed.output
    wait_until(lambda: "eva@example.net" in run(served, "bounces", "list").output, "it is a bounce")
    assert told()["refusals"] == []


def test_what_proves_nothing_is_replayed_only_by_trust(served):
    body = '{"RecordType": "Bounce", "Type": "HardBounce", "Email": "fay@example.net"}'
    settings = load_settings(served)
    asyncio.run(_post(settings.http.listen, body))

    def ids():
        text = run(served, "webhook", "doctor", "postmark", "--json").output
        return [one["id"] for one in json.loads(text)["refusals"]]

    wait_until(ids, "the refused request is shown")
    (number,) = ids()
    doubted = run(served, "webhook", "replay", "postmark", str(number))
    assert (doubted.exit_code, "no user name and password" in doubted.output) == (1, True)
    assert "needs --trust" in doubted.output
    shown = run(served, "webhook", "doctor", "postmark").output
    assert f"mtabounce webhook replay postmark {number} --trust" in shown
    dry = run(served, "webhook", "replay", "postmark", "--trust", "--dry-run")
    assert "would be taken" in dry.output
    assert ids() == [number]

    trusted = run(served, "webhook", "replay", "postmark", "--trust")

    assert (trusted.exit_code, ids()) == (0, [])


async def _post(address: ListenAddress, body: str) -> None:
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(
        f"POST /webhooks/service/postmark HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    assert b"401" in await reader.readline()
    writer.close()


def test_doctor_says_what_to_write_for_each_provider(config):
    result = run(config, "webhook", "doctor", "ses", "brevo", "mandrill", "azure")

    assert "ses (Amazon SES): not set up" in result.output
    assert "topic_arns = [" in result.output
    assert "brevo (Brevo): off: it has no secret" in result.output
    assert "azure (Azure Communication Services): open to anybody" in result.output
    assert "https://YOUR-HOST/webhooks/service/mandrill" in result.output


def test_advice_is_found_by_words_that_refusals_have():
    said = USED + "".join(path.read_text() for path in Path(refusals.__file__).parent.glob("*.py"))

    assert [words for words, _ in ADVICE if words not in said] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["doctor", "nobody"], "there is no webhook or provider nobody; there are: postmark"),
        (["send-test", "ses"], "there is no section [webhooks.ses]"),
        (["send-test", "postmark", "--to", "x"], "is no URL"),
        (["send-test", "sendgrid", "--key", "/nowhere"], "No such file"),
        (["send-test", "postmark", "--make-key", "k"], "--make-key is for SendGrid and Postal"),
        (["replay", "postmark", "7"], "there is no refused request 7 of postmark"),
    ],
)
def test_mistakes_are_told_in_a_line(config, words, said):
    result = run(config, "webhook", *words)

    assert said in str(result.exception)


def test_dry_run_prints_the_request_without_its_password(config):
    result = run(config, "webhook", "send-test", "postmark", "--dry-run")

    assert "authorization: ***" in result.output
    assert '"RecordType": "Bounce"' in result.output
    assert "p@ss" not in result.output


def test_general_doctor_says_which_webhooks_are_off_or_open(config):
    result = run(config, "doctor", "--json")

    found = [json.loads(line) for line in result.output.splitlines()]
    texts = {(one["level"], one["text"]) for one in found if one["check"] == "webhooks"}
    assert ("warn", "brevo is off: it has no secret") in texts
    assert ("ok", "mailgun: nothing came yet") in texts
    assert any("azure takes events from anybody" in text for _, text in texts)
