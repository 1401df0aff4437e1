"""Inputs judged again: what changes is shown, then changed, and bounces keep their numbers."""

import asyncio
from datetime import UTC, datetime

import pytest
from psycopg.rows import dict_row

from mtabounce.model import RawInput
from mtabounce.pipeline.decide import Recorder
from mtabounce.pipeline.rewrite import judged_again
from mtabounce.policy import PolicySettings
from mtabounce.store import inputs
from mtabounce.store.rewrite import Selection
from mtabounce.verp import Keyring
from tests.working import judging, worked

RECORDER = Recorder(PolicySettings())
BOUNCE = b"""\
From: MAILER-DAEMON@mx.example.org
Message-ID: <%(mail)s@mx.example.org>
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org

Final-Recipient: rfc822; ann@example.org
Action: %(action)s
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 The tenant moved to Mars

--b
Content-Type: text/rfc822-headers

Message-ID: <1@lists.example.org>

--b--
"""
LOCAL_RULE = """\
[[rule]]
id = "mars"
reason = "mailbox_moved"
text = 'moved to Mars'
match = ["550 5.1.1 The tenant moved to Mars"]
"""


def mail(name=b"a", action=b"failed"):
    return BOUNCE % {b"mail": name, b"action": action}


@pytest.fixture
def rules(tmp_path):
    (tmp_path / "mars.toml").write_text(LOCAL_RULE)
    return tmp_path


async def received(conn, connecting, *contents):
    raws = [RawInput(source="receiver", content=c, received_at=datetime.now(UTC)) for c in contents]
    await inputs.append(conn, raws)
    await worked(connecting)


async def again(connecting, rules, *, write, **selection):
    judges = judging(rules=rules)
    try:
        batches = judged_again(
            connecting, judges, Keyring(), Selection(**selection), RECORDER, write=write
        )
        return [(one.was, one.now, one.rule) async for step in batches for one in step.found]
    finally:
        await judges.close()


async def bounces(conn):
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SELECT * FROM bounces ORDER BY id")
        return await cursor.fetchall()


async def test_dry_run_shows_and_changes_nothing(conn, connecting, rules):
    await received(conn, connecting, mail())

    found = await again(connecting, rules, write=False)

    assert found == [("hard user_unknown 5.1.1", "hard mailbox_moved 5.1.1", "mars")]
    assert [bounce["reason"] for bounce in await bounces(conn)] == ["user_unknown"]


async def test_bounce_keeps_its_number_and_gets_its_new_reason(conn, connecting, rules):
    await received(conn, connecting, mail())
    (before,) = await bounces(conn)

    await again(connecting, rules, write=True)

    (after,) = await bounces(conn)
    assert (after["reason"], after["rule"]) == ("mailbox_moved", "mars")
    for name in ("id", "created_at", "first_seen_at", "observations", "original_message_id"):
        assert after[name] == before[name]


async def test_second_time_nothing_changes(conn, connecting, rules):
    await received(conn, connecting, mail())
    await again(connecting, rules, write=True)

    assert await again(connecting, rules, write=True) == []


async def test_bounce_of_two_mails_is_built_of_both(conn, connecting, rules):
    await received(conn, connecting, mail(b"a"), mail(b"b"))

    await again(connecting, rules, write=True, ids=[1])

    (bounce,) = await bounces(conn)
    assert bounce["observations"] == 2


async def test_copy_of_a_mail_is_no_difference(conn, connecting):
    await received(conn, connecting, mail(), b"Received: from elsewhere\n" + mail())

    assert await again(connecting, None, write=False) == []


async def test_what_is_no_bounce_any_more_takes_its_bounce_with_it(conn, connecting):
    await received(conn, connecting, mail())
    await conn.execute("UPDATE inputs SET content = %s", [mail(action=b"delayed")])

    assert await again(connecting, None, write=True) == [
        ("hard user_unknown 5.1.1", "user_unknown 5.1.1", "status-user-unknown")
    ]

    cursor = await conn.execute("SELECT hard, soft FROM recipients")
    assert await cursor.fetchall() == [(0, 0)]
    assert await bounces(conn) == []
    cursor = await conn.execute("SELECT count(*) FROM bounce_refs")
    assert await cursor.fetchone() == (0,)


async def test_two_at_once_leave_what_the_last_one_says(conn, connecting, rules, tmp_path):
    await received(conn, connecting, mail(b"1"), mail(b"2"))
    (tmp_path / "others").mkdir()
    other = tmp_path / "others" / "mars.toml"
    other.write_text(LOCAL_RULE.replace("mailbox_moved", "challenge"))  # which is no bounce

    async with (
        asyncio.TaskGroup() as group,
        await connecting() as blocking,
        blocking.transaction(),
    ):
        await blocking.execute("SELECT FROM recipients FOR UPDATE")
        for count, folder in enumerate((other.parent, rules), start=1):
            group.create_task(again(connecting, folder, write=True))
            await until_waiting(conn, count)

    assert await counted(conn, "observations WHERE rule = 'mars'") == 2
    assert [row["observations"] for row in await bounces(conn)] == [2]


async def until_waiting(conn, count):
    async with asyncio.timeout(90):
        while await counted(conn, "pg_locks WHERE NOT granted") < count:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def counted(conn, what):
    cursor = await conn.execute(f"SELECT count(*) FROM {what}")  # noqa: S608 (ours)
    return (await cursor.fetchone())[0]


async def test_failed_input_becomes_a_bounce(conn, connecting):
    raw = RawInput(source="receiver", content=mail(), received_at=datetime.now(UTC))
    await inputs.append(conn, [raw])
    await conn.execute("UPDATE inputs SET state = 'failed', error = 'crash'")

    await again(connecting, None, write=True, state="failed")

    cursor = await conn.execute("SELECT state, outcome, error FROM inputs")
    assert await cursor.fetchall() == [("done", "bounce", "")]
    assert [bounce["reason"] for bounce in await bounces(conn)] == ["user_unknown"]
