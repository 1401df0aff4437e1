"""What is too old goes; what is suppressed stays so; what waits is never dropped."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from psycopg.rows import dict_row

from mtabounce.model import RawInput
from mtabounce.pipeline import locking
from mtabounce.pipeline.decide import Recorder, decide
from mtabounce.pipeline.judge_process import JudgeSettings
from mtabounce.pipeline.judging import Judging
from mtabounce.pipeline.retention import retain
from mtabounce.pipeline.settings import RetentionSettings
from mtabounce.pipeline.words import Word, say
from mtabounce.pipeline.worker import Worker
from mtabounce.policy import PolicySettings
from mtabounce.store import inputs
from tests.cli.conftest import dsn
from tests.pipeline.test_decide import HARD, SOFT, observed, recorded, suppressed

NOW = datetime.now(UTC)
OLD = 500  # days, for what is kept for 400
POLICY = PolicySettings()


async def values(conn, query, *args):
    return [row[0] for row in await (await conn.execute(query, args)).fetchall()]


async def months(conn, days):
    """Make the partitions of a time that lies *days* back."""
    await conn.execute("SELECT ensure_partitions(%s, %s)", [NOW - timedelta(days=days)] * 2)


async def stand_again(conn):
    ids = dict(await (await conn.execute("SELECT recipient, id FROM recipients")).fetchall())
    async with conn.transaction():
        await decide(conn, POLICY, ids)


@pytest.mark.parametrize("partitioned", [True, False])
async def test_suppression_outlives_the_bounces_it_rests_on(conn, partitioned):
    if partitioned:
        await months(conn, OLD)
    await recorded(conn, *observed(HARD, days_ago=OLD))
    before = await (await conn.execute("SELECT * FROM suppressions")).fetchall()

    gone = await retain(conn, RetentionSettings(), NOW)
    await stand_again(conn)

    assert gone["suppressions kept"] == 1
    assert await values(conn, "SELECT count(*) FROM bounces") == [0]
    assert await values(conn, "SELECT count(*) FROM observations") == [0]
    assert await (await conn.execute("SELECT * FROM suppressions")).fetchall() == before
    (kept,) = await values(conn, "SELECT why FROM decisions WHERE action = 'keep'")
    assert kept == "hard: 1 of 1 messages, the last for user_unknown: for good"


async def test_month_is_dropped_as_a_whole_and_others_stay(conn):
    await months(conn, OLD)
    await recorded(conn, *observed(HARD, days_ago=OLD), *observed(SOFT, "2@lists", days_ago=3))
    name = f"bounces_{NOW - timedelta(days=OLD):y%Ym%m}"
    assert await values(conn, "SELECT to_regclass(%s)::text", f"mtabounce.{name}") == [name]

    await retain(conn, RetentionSettings(), NOW)

    assert await values(conn, "SELECT to_regclass(%s)::text", f"mtabounce.{name}") == [None]
    assert await values(conn, "SELECT type FROM bounces") == ["soft"]


async def test_bounces_are_kept_for_ever_where_that_is_said(conn):
    await recorded(conn, *observed(HARD, days_ago=OLD))
    settings = RetentionSettings(bounces=timedelta(0), decisions=timedelta(0))

    assert not await retain(conn, settings, NOW)
    assert await values(conn, "SELECT count(*) FROM bounces") == [1]


async def test_later_bounces_and_deliveries_do_not_lift_what_is_kept(conn):
    await recorded(conn, *observed(HARD, days_ago=OLD))
    await retain(conn, RetentionSettings(), NOW)

    await recorded(conn, *observed(SOFT, "2@lists", source="log:mx"))
    await recorded(conn, arrived={"ann@example.org": NOW})
    await stand_again(conn)

    assert await suppressed(conn)


async def test_operator_lifts_what_is_kept(conn):
    await recorded(conn, *observed(HARD, days_ago=OLD))
    await retain(conn, RetentionSettings(), NOW)

    async with conn.transaction():
        word = Word(recipient="ann@example.org", action="remove", why="asked")
        await say(conn, POLICY, [word], "olga")

    assert not await suppressed(conn)


async def test_soft_counts_decay(conn):
    two = [observed(SOFT, f"{n}@lists", days_ago=OLD + 10 * n)[0] for n in range(2)]
    await recorded(conn, *two)
    await retain(conn, RetentionSettings(), NOW)

    await recorded(conn, *observed(SOFT, "3@lists"))

    assert not await suppressed(conn)


async def test_report_on_a_bounce_that_is_gone_makes_a_new_one(conn):
    await recorded(conn, *observed(HARD, days_ago=OLD))
    await conn.execute("DELETE FROM bounces")  # as a month that was dropped, refs being left

    await recorded(conn, *observed(HARD))

    assert await values(conn, "SELECT count(*) FROM bounces") == [1]


async def test_address_is_forgotten_when_nothing_of_it_is_left(conn):
    await recorded(conn, *observed(SOFT, days_ago=900))
    await conn.execute("UPDATE recipients SET created_at = now() - interval '900 days'")
    await conn.execute("UPDATE decisions SET created_at = now() - interval '900 days'")

    await retain(conn, RetentionSettings(), NOW)

    left = await values(
        conn,
        "SELECT count(*) FROM recipients UNION ALL SELECT count(*) FROM bounces UNION ALL"
        " SELECT count(*) FROM observations UNION ALL SELECT count(*) FROM decisions UNION ALL"
        " SELECT count(*) FROM bounce_refs",
    )
    assert left == [0, 0, 0, 0, 0]


async def test_what_waits_is_never_dropped(conn):
    old = NOW - timedelta(days=OLD)
    waiting, done = (
        RawInput(source="receiver", content=word, received_at=old) for word in (b"waits", b"done")
    )
    await inputs.append(conn, [waiting, done])
    await conn.execute("UPDATE inputs SET state = 'done' WHERE content = 'done'")
    await conn.execute(
        "INSERT INTO outbox (sink, event, recipient, payload, state, created_at)"
        " SELECT 's', 'bounce', 'a@example.org', '{}', state, %s"
        " FROM unnest(ARRAY['pending', 'sent', 'dead']) AS state",
        [old],
    )

    await retain(conn, RetentionSettings(), NOW)

    assert await values(conn, "SELECT content FROM inputs") == [b"waits"]
    assert await values(conn, "SELECT state FROM outbox") == ["pending"]


async def test_month_in_use_holds_up_nobody_and_goes_later(conn, connecting, monkeypatch):
    monkeypatch.setattr(locking, "TRIES", 2)
    await months(conn, OLD)
    await recorded(conn, *observed(HARD, days_ago=OLD))

    async with await connecting() as reader, reader.transaction():
        await reader.execute("SELECT FROM bounces")
        held = asyncio.create_task(retain(conn, RetentionSettings(), NOW))
        async with await connecting() as other:
            while not held.done():
                async with asyncio.timeout(30):
                    await other.execute("SELECT count(*) FROM bounces")
                await asyncio.sleep(0.01)
        await held
    assert await values(conn, "SELECT count(*) FROM bounces") == [1]

    await retain(conn, RetentionSettings(), NOW)
    assert await values(conn, "SELECT count(*) FROM bounces") == [0]


async def read(connecting, content, raw, source="receiver"):
    async with await connecting() as conn:
        one = RawInput(source=source, content=content, received_at=NOW)
        await inputs.append(conn, [one])
        judging = Judging(JudgeSettings(), deadline=10, memory=2**28)
        worker = Worker(
            connecting, judging, Recorder(POLICY), asyncio.Event(), raw=raw, until_idle=True
        )
        await worker.run()
        async with conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute("SELECT content, kept, outcome FROM inputs")
            return await cursor.fetchone()


REPORT = b"--b\nContent-Type: message/delivery-status"
NEWS = b"--b\n\nYour secret news came back.\n\n"
MAIL = dsn(("ann", "example.org", "5.1.1", "550 5.1.1 no such user", "spring")).replace(
    REPORT, NEWS + REPORT
)


@pytest.mark.parametrize(
    ("raw", "kept"), [("full", "full"), ("headers", "headers"), ("none", "none")]
)
async def test_raw_mail_is_kept_as_is_said(connecting, raw, kept):
    one = await read(connecting, MAIL, raw)

    assert (one["kept"], one["outcome"]) == (kept, "bounce")
    assert (one["content"] == MAIL) == (raw == "full")
    assert (b"Final-Recipient: rfc822; ann@example.org" in one["content"]) == (raw != "none")
    assert (b"Your secret news" in one["content"]) == (raw == "full")


async def test_what_could_not_be_read_is_kept_whole(connecting):
    one = await read(connecting, b"Subject: lunch\n\nAt noon?\n", "none")

    assert (one["kept"], one["outcome"]) == ("full", "unrecognized")


def test_decisions_are_kept_as_long_as_bounces():
    with pytest.raises(ValueError, match="at least as long as bounces"):
        RetentionSettings(decisions=timedelta(days=30))


async def test_copy_of_a_mail_that_was_trimmed_counts_once(connecting, conn):
    for _ in range(2):
        await read(connecting, MAIL, "none")

    assert await values(conn, "SELECT count(*) FROM bounces") == [1]
