"""What happened is told to others: signed, in order, again and again, and never lost."""

import asyncio
import base64
import hashlib
import hmac
import json
import sys
from datetime import UTC, datetime, timedelta
from functools import partial

import psycopg
import pytest
from pydantic import ValidationError

from mtabounce.errors import StoreUnavailable
from mtabounce.sinks import SinkSettings, kinds
from mtabounce.store.connection import connect
from mtabounce.store.outbox import add_events, forget_lost_sinks, retry
from mtabounce.telling import PAUSES, Telling
from tests.sinks.telling import Server, rows, speak, telling

KEY = b"0123456789abcdef0123456789abcdef"


class Telltale(Server):
    """Keeps what it is sent, and answers as *answers* and *status* say."""

    def __init__(self):
        super().__init__(self._take)
        self.got = []
        self.answers = {}
        self.status = 200

    def _take(self, method, path, headers, body):
        self.got.append((method, path, headers, body))
        return self.status, self.answers.get(path, {})


@pytest.fixture
def server():
    with Telltale() as server:
        yield server


async def due(conn):
    await conn.execute("UPDATE outbox SET next_at = now()")


async def test_webhook_is_signed_as_the_standard_says(conn, server, secret):
    path = secret("whsec_" + base64.b64encode(KEY).decode())
    tell = await telling(conn, kind="webhook", url=f"{server.url}/hook", secret_file=path)
    await speak(conn, "add", "ann@example.org", why="asked")

    assert await tell() == 1

    ((method, target, headers, body),) = server.got
    assert (method, target) == ("POST", "/hook")
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    told = json.loads(body)
    assert (told["type"], told["data"]["recipient"]) == ("suppressed", "ann@example.org")
    assert (told["data"]["cause"], told["data"]["reason"]) == ("manual", "asked")
    assert [one["state"] for one in await rows(conn)] == ["sent"]


async def test_message_that_is_not_taken_is_sent_again_by_the_same_number(conn, server, secret):
    tell = await telling(conn, kind="webhook", url=server.url, secret_file=secret("s3cret!"))
    await speak(conn, "add", "ann@example.org")
    server.status = 503
    await tell()
    (one,) = await rows(conn)
    assert (one["state"], one["attempts"]) == ("pending", 1)
    assert one["error"].startswith("HTTP 503")
    assert await tell() == 0  # it waits

    server.status = 204
    await due(conn)
    await tell()

    assert len({headers["webhook-id"] for _, _, headers, _ in server.got}) == 1
    assert [one["state"] for one in await rows(conn)] == ["sent"]


async def test_messages_about_an_address_stay_in_order_and_others_do_not_wait(conn, server, secret):
    tell = await telling(conn, kind="webhook", url=server.url, secret_file=secret("s3cret!"))
    await speak(conn, "add", "ann@example.org")
    server.status = 500
    await tell()
    server.status = 200
    await speak(conn, "remove", "ann@example.org")
    await speak(conn, "add", "bob@example.org")

    await tell()
    assert [json.loads(body)["data"]["recipient"][:3] for *_, body in server.got] == ["ann", "bob"]
    await due(conn)
    await tell()
    await tell()
    assert [json.loads(body)["type"] for *_, body in server.got[2:]] == ["suppressed", "lifted"]


async def test_message_that_nobody_takes_is_dead_and_shown_until_it_is_retried(
    conn, server, secret
):
    tell = await telling(conn, kind="webhook", url=server.url, secret_file=secret("s3cret!"))
    await speak(conn, "add", "ann@example.org")
    server.status = 404
    for _ in range(len(PAUSES) + 1):
        await due(conn)
        await tell()

    (one,) = await rows(conn)
    assert (one["state"], one["attempts"]) == ("dead", len(PAUSES) + 1)


async def test_server_that_is_away_keeps_messages_waiting(conn, server, secret):
    tell = await telling(conn, kind="webhook", url=server.url, secret_file=secret("s3cret!"))
    server.shutdown()
    server.server_close()
    await speak(conn, "add", "ann@example.org")

    await tell()

    assert (await rows(conn))[0]["state"] == "pending"


async def test_what_is_rolled_back_is_not_told(conn, server, secret):
    await telling(conn, kind="webhook", url=server.url, secret_file=secret("s3cret!"))
    async with conn.transaction(force_rollback=True):
        await speak(conn, "add", "ann@example.org")

    assert await rows(conn) == []


async def test_without_sinks_nothing_is_written(conn):
    await speak(conn, "add", "ann@example.org")

    assert await rows(conn) == []


async def test_command_takes_a_message_by_exit_0(conn, tmp_path):
    script = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text(sys.stdin.read())"
    command = [sys.executable, "-c", script, str(tmp_path / "got")]
    tell = await telling(conn, kind="command", command=command)
    await speak(conn, "add", "ann@example.org")

    await tell()

    told = json.loads((tmp_path / "got").read_text())
    assert (told["event"], told["recipient"]) == ("suppressed", "ann@example.org")


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (["/bin/sh", "-c", "echo no >&2; exit 75"], "exit 75: no"),
        (["/no/such/program"], "/no/such/program: No such file or directory"),
        (["/bin/sleep", "30"], "no end within"),
    ],
)
async def test_command_that_fails_is_run_again(conn, command, why):
    tell = await telling(conn, kind="command", command=command, timeout="1s")
    await speak(conn, "add", "ann@example.org")

    await tell()

    (one,) = await rows(conn)
    assert one["state"] == "pending"
    assert one["error"].startswith(why)


async def test_listmonk_is_not_told_what_it_could_not_take_back(conn, server, secret):
    tell = await telling(
        conn, kind="listmonk", url=server.url, username="api", password_file=secret("t0ken-x")
    )
    rows = [
        {"scope": "list:news.example.org", "cause": "complaint", "type": "complaint"},
        {"scope": "all", "cause": "hold", "type": "hard"},
    ]
    async with conn.transaction():
        await add_events(
            conn,
            [{"event": "suppressed", "recipient": "ann@example.org", "payload": x} for x in rows],
        )

    assert await tell() == await tell() == 1
    assert server.got == []


async def test_daemon_without_sinks_ends_no_others(conn, server, secret):
    await telling(conn, kind="webhook", url=server.url, secret_file=secret("s3cret!"))
    await Telling([], partial(connect, "", application_name="")).register(conn)
    await speak(conn, "add", "ann@example.org")

    assert [one["sink"] for one in await rows(conn)] == ["webhook"]


async def test_sink_that_nobody_tells_for_a_week_is_forgotten(conn, server, secret):
    await telling(conn, kind="webhook", url=server.url, secret_file=secret("s3cret!"))
    await conn.execute("UPDATE sinks SET seen_at = now() - interval '8 days'")
    await Telling([], partial(connect, "", application_name="")).register(conn)
    await speak(conn, "add", "ann@example.org")

    assert await rows(conn) == []


async def test_dead_message_does_not_undo_what_came_after_it(conn, database_url, server, secret):
    tell = await telling(conn, kind="webhook", url=server.url, secret_file=secret("s3cret!"))
    await speak(conn, "add", "ann@example.org", "bob@example.org")
    await conn.execute("UPDATE outbox SET state = 'dead'")
    await speak(conn, "remove", "ann@example.org")
    await tell()

    with psycopg.connect(database_url) as other:
        assert retry(other, None) == (1, 1)
    await tell()

    told = [json.loads(body) for *_, body in server.got]
    assert [(one["type"], one["data"]["recipient"]) for one in told] == [
        ("lifted", "ann@example.org"),
        ("suppressed", "bob@example.org"),
    ]


async def test_retry_tells_what_covers_another_list_to_be_told(conn, server, secret, database_url):
    tell = await telling(conn, kind="webhook", url=server.url, secret_file=secret("s3cret!"))
    await speak(conn, "add", "ann@example.org")
    await conn.execute("UPDATE outbox SET state = 'dead'")
    payload = {"scope": "list:news.example.org"}
    later = {"event": "suppressed", "recipient": "ann@example.org", "payload": payload}
    await add_events(conn, [later])
    await tell()

    with psycopg.connect(database_url) as other:
        assert retry(other, None) == (1, 0)


async def test_sink_that_nobody_tells_any_more_leaves_nothing_behind(conn, server, secret):
    await telling(conn, kind="webhook", url=server.url, secret_file=secret("s3cret!"))
    await speak(conn, "add", "ann@example.org")
    assert len(await rows(conn)) == 1

    await forget_lost_sinks(conn, datetime.now(UTC) + timedelta(minutes=1))

    assert await rows(conn) == []


async def test_listmonk_gets_a_bounce_as_its_webhook_wants_it(conn, server, secret):
    tell = await telling(
        conn, kind="listmonk", url=server.url, username="api", password_file=secret("t0ken-x")
    )
    await speak(conn, "add", "ann@example.org")
    await speak(conn, "remove", "ann@example.org")

    await tell()

    ((method, path, headers, body),) = server.got
    assert (method, path) == ("POST", "/webhooks/bounce")
    assert headers["Authorization"] == "Basic " + base64.b64encode(b"api:t0ken-x").decode()
    told = json.loads(body)
    assert (told["email"], told["source"], told["type"]) == ("ann@example.org", "mtabounce", "hard")


async def test_sink_runs_until_it_is_stopped(database_url, conn, server, secret):
    path = secret("s3cret!")
    sink = SinkSettings.model_validate(
        {"kind": "webhook", "url": server.url, "secret_file": path, "events": ["lifted"]}
    )
    running = asyncio.create_task(
        Telling([sink], partial(connect, database_url, application_name="test")).run()
    )
    while not await (await conn.execute("SELECT FROM sinks")).fetchall():  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    await speak(conn, "add", "ann@example.org")
    await speak(conn, "remove", "ann@example.org")
    async with asyncio.timeout(60):
        while not server.got:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    running.cancel()

    assert json.loads(server.got[0][3])["type"] == "lifted"


async def test_trouble_with_the_database_or_a_sink_ends_nothing(
    database_url, conn, server, secret, monkeypatch
):
    monkeypatch.setattr("mtabounce.telling._POLL", 0.05)
    troubles = [StoreUnavailable("away"), RuntimeError("a mistake of ours")] * 4
    path = secret("s3cret!")
    sink = SinkSettings.model_validate(
        {"kind": "webhook", "url": server.url, "secret_file": path, "events": ["suppressed"]}
    )

    async def hardly():
        if troubles:
            raise troubles.pop()
        return await connect(database_url, application_name="test")

    running = asyncio.create_task(Telling([sink], hardly).run())
    while not await (await conn.execute("SELECT FROM sinks")).fetchall():  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    await speak(conn, "add", "ann@example.org")
    async with asyncio.timeout(60):
        while not server.got:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    assert troubles == []
    assert not running.done()
    running.cancel()


@pytest.mark.parametrize("kind", kinds())
def test_sink_without_what_it_needs_is_refused(kind):
    with pytest.raises(ValidationError, match=f"a sink of kind {kind} needs "):
        SinkSettings.model_validate({"kind": kind})


def test_url_must_be_one():
    with pytest.raises(ValidationError, match="url"):
        SinkSettings.model_validate({"kind": "webhook", "url": "ftp://example.org"})


@pytest.mark.parametrize(
    ("kind", "event"), [("listmonk", "lifted"), ("mautic", "bounce"), ("mailman3", "incident")]
)
def test_sink_is_not_told_what_it_would_take_for_something_else(kind, event, secret):
    told = {"kind": kind, "url": "http://x.example", "username": "u", "events": [event]}
    with pytest.raises(ValidationError, match=f"a sink of kind {kind} takes suppressed"):
        SinkSettings.model_validate(told | {"password_file": secret("p")})


def test_secret_that_nobody_else_could_verify_with_is_refused(secret):
    told = {"kind": "webhook", "url": "http://x.example", "secret_file": secret("whsec_no base64")}
    with pytest.raises(ValidationError, match="no base64 after whsec_"):
        SinkSettings.model_validate(told)


async def test_who_listens_is_told_what_was_committed_and_nothing_else(conn, database_url):
    async with await connect(database_url, application_name="ear") as ear:
        await ear.execute("LISTEN mtabounce_suppression")
        async with conn.transaction() as undone:
            lifted = {"event": "lifted", "recipient": "no@example.org", "payload": {}}
            await add_events(conn, [lifted])
            raise psycopg.Rollback(undone)
        await speak(conn, "add", "ann@example.org", why="x" * 9000)
        await speak(conn, "remove", "ann@example.org")

        notes = [json.loads(note.payload) async for note in ear.notifies(timeout=30, stop_after=2)]

    assert [(one["event"], one["recipient"], one["scope"]) for one in notes] == [
        ("suppressed", "ann@example.org", "all"),
        ("lifted", "ann@example.org", "all"),
    ]
    assert notes[0]["cause"] == "manual"
