"""Bounces in the mailboxes of a real Dovecot are fetched, each once, and other mail is left."""

import asyncio
import http.server
import json
import threading
from functools import partial

import pytest
from imapclient import IMAPClient

from mtabounce.sources.mailboxes import MailboxError, MailboxRefused, protocols
from mtabounce.sources.poller import Poller
from mtabounce.store.connection import connect
from tests.live.dovecot import PASSWORD, USER, Dovecot
from tests.live.load import bounce_of
from tests.working import judging

HUMAN = b"From: Ann <ann@example.net>\nTo: bounces@b.example.org\nSubject: Lunch\n\nNoon?\n"


@pytest.fixture
def dovecot(folder):
    with Dovecot(folder / "dovecot") as dovecot:
        yield dovecot


@pytest.fixture
def poll(dovecot, make_poll):
    """A function that polls the mailbox once."""
    return make_poll(dovecot)


@pytest.fixture
def make_poll(database_url, tmp_path):
    """A function that makes one that polls the mailbox of a server once."""
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o600)

    def make(dovecot):
        async def run(protocol, tls, **changes):
            judges = judging()
            kind = protocols()[protocol]
            known = {
                "host": "localhost",
                "port": dovecot.ports[protocol + ("s" if tls == "implicit" else "")],
                "username": USER,
                "password_file": str(secret),
                "tls": tls,
                "tls_ca_file": str(dovecot.certificate),
            }
            settings = kind.settings.model_validate_json(json_of(known | changes), strict=True)
            connecting = partial(connect, database_url, application_name="test")
            poller = Poller(kind, settings, connecting, judges, asyncio.Lock(), lambda: None)
            try:
                return await poller.poll()
            finally:
                await judges.close()

        return run

    return make


def json_of(values):
    return json.dumps({name: value for name, value in values.items() if value is not None})


def bounce(number):
    text = bounce_of(f"user{number}@example.net", number=number)
    return text if isinstance(text, bytes) else text.encode()


@pytest.mark.parametrize("protocol", ["pop3", "imap"])
@pytest.mark.parametrize("tls", ["implicit", "starttls", "none"])
async def test_bounces_are_fetched_and_other_mail_is_left(dovecot, poll, protocol, tls):
    for number in range(3):
        dovecot.put(bounce(number))
    dovecot.put(HUMAN)

    first, second = await poll(protocol, tls), await poll(protocol, tls)

    assert (first.stored, first.deleted, first.other) == (3, 3, 1)
    assert (second.stored, second.deleted, second.other) == (0, 0, 0)
    assert dovecot.mails() == [HUMAN]


async def test_server_without_uidplus_is_told_once_what_to_delete(folder, make_poll, monkeypatch):
    told = []

    class Client(IMAPClient):
        def add_flags(self, messages, flags, silent=False):
            told.extend(messages)
            return super().add_flags(messages, flags, silent)

    monkeypatch.setattr("mtabounce.sources.mailboxes.imap.IMAPClient", Client)
    with Dovecot(folder / "dovecot", capability="IMAP4rev1 SASL-IR") as dovecot:
        for number in range(3):
            dovecot.put(bounce(number))
        poll = make_poll(dovecot)

        first = await poll("imap", "none")
        await poll("imap", "none")

        assert (first.stored, len(told), len(dovecot.mails())) == (3, 3, 3)


@pytest.mark.parametrize("protocol", ["pop3", "imap"])
async def test_thousand_mails_are_fetched(dovecot, poll, protocol):
    for number in range(1_000):
        dovecot.put(bounce(number))

    tally = await poll(protocol, "implicit")

    assert (tally.stored, tally.deleted, dovecot.mails()) == (1_000, 1_000, [])


@pytest.mark.parametrize("protocol", ["pop3", "imap"])
async def test_mail_with_long_lines_is_fetched(dovecot, poll, protocol):
    dovecot.put(bounce(1) + b"x" * 100_000 + b"\n.\n..\n")

    assert (await poll(protocol, "implicit")).stored == 1


class TokenInfo(http.server.BaseHTTPRequestHandler):
    """Says whose a token is, as the server that made it does."""

    def do_GET(self) -> None:
        is_good = self.path.endswith("access_token=good-token")
        body = json.dumps({"email": USER, "expires_in": 3000} if is_good else {"error": "no"})
        self.send_response(200 if is_good else 400)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def tokeninfo():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), TokenInfo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/tokeninfo"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("protocol", ["pop3", "imap"])
async def test_token_logs_in(folder, tokeninfo, make_poll, protocol):
    with Dovecot(folder / "with-tokens", tokeninfo) as dovecot:
        dovecot.put(bounce(1))
        poll = make_poll(dovecot)

        with pytest.raises(MailboxRefused, match="does not let"):
            await poll(protocol, "implicit", password_file=None, oauth_command=["echo", "bad"])
        token = ["echo", "good-token"]
        tally = await poll(protocol, "implicit", password_file=None, oauth_command=token)

        assert (tally.stored, dovecot.mails()) == (1, []), dovecot.log()


async def test_apop_logs_in(dovecot, poll):
    dovecot.put(bounce(1))

    assert (await poll("pop3", "none", apop=True)).stored == 1


@pytest.mark.parametrize("protocol", ["pop3", "imap"])
async def test_what_is_wrong_is_said_in_one_line(dovecot, poll, protocol, tmp_path):
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong")
    wrong.chmod(0o600)
    dovecot.put(bounce(1))

    with pytest.raises(MailboxRefused, match=r"does not let bounces in: \[AUTH") as refusal:
        await poll(protocol, "implicit", password_file=str(wrong))
    with pytest.raises(MailboxError, match="certificate that proves nothing") as strange:
        await poll(protocol, "implicit", tls_ca_file=None)
    with pytest.raises(MailboxError, match="IP address mismatch") as mismatch:
        await poll(protocol, "starttls", host="127.0.0.1")

    for said in (refusal, strange, mismatch):
        assert "\n" not in str(said.value)
    assert len(dovecot.mails()) == 1
