"""A bounce and its consequence are written together."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from psycopg.rows import dict_row

from mtabounce.classify import load
from mtabounce.correlate import observe
from mtabounce.model import (
    Action,
    BounceType,
    Fault,
    Judged,
    Outcome,
    RawInput,
    Reading,
    Report,
    Verdict,
)
from mtabounce.pipeline.decide import Recorder, decide
from mtabounce.pipeline.upkeep import lift_ended
from mtabounce.policy import PolicySettings
from mtabounce.store.policy import histories

CLASSIFIER = load()
NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
HARD = Verdict(type=BounceType.HARD, reason="user_unknown", fault=Fault.RECIPIENT, rule="r1")
SOFT = Verdict(type=BounceType.SOFT, reason="mailbox_full", fault=Fault.RECIPIENT, rule="r2")
TAKEN = Verdict(type=None, reason="delivered", fault=None, rule="outcome")
BLOCK = Verdict(type=BounceType.SOFT, reason="ip_blocked", fault=Fault.SENDER, rule="r3")


def observed(
    verdict,
    message="1@lists",
    days_ago=0,
    *,
    proven=True,
    name="ann@example.org",
    source="receiver",
    **facts,
):
    report = Report(
        outcome=Outcome.BOUNCE if verdict.type else Outcome.DELIVERED,
        final_recipient=name,
        action=Action.FAILED,
        original_message_id=message,
        **facts,
    )
    reading = Reading(
        outcome=Outcome.BOUNCE,
        reports=(report,),
        fingerprint=repr((message, facts, proven, verdict.type)).encode(),
        relayed=not proven,
    )
    received_at = NOW - timedelta(days=days_ago)
    raw = RawInput(source=source, content=b"", received_at=received_at, trusted=True)
    return observe(raw, Judged(reading=reading, verdicts=(verdict,)))


async def recorded(conn, *observations, arrived=None, **policy):
    async with conn.transaction():
        recorder = Recorder(PolicySettings(**policy))
        await recorder.record(conn, [*observations], arrived or {})


async def rows(conn, query):
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query)
        return await cursor.fetchall()


async def suppressed(conn):
    (row,) = await rows(conn, "SELECT is_suppressed('Ann@Example.org') AS suppressed")
    return row["suppressed"]


async def test_proven_hard_bounce_suppresses_and_says_why(conn):
    await recorded(conn, *observed(HARD))

    (one,) = await rows(conn, "SELECT * FROM suppressions")
    (decision,) = await rows(conn, "SELECT * FROM decisions")
    (bounce,) = await rows(conn, "SELECT id FROM bounces")
    assert (one["recipient"], one["cause"], one["until"]) == ("ann@example.org", "hard", None)
    assert (one["bounce_id"], one["decision_id"]) == (bounce["id"], decision["id"])
    assert decision["why"] == "hard: 1 of 1 messages, the last for user_unknown: for good"
    assert decision["bounces"] == [bounce["id"]]
    assert await suppressed(conn)


async def test_delays_count_nowhere_though_their_verdicts_are_soft(conn):
    for day, said in enumerate(("452 4.2.2 mailbox full", "450 4.1.1 user unknown", "", "")):
        delay = Report(
            outcome=Outcome.DELAYED,
            final_recipient="ann@example.org",
            action=Action.DELAYED,
            diagnostic_code=said,
            original_message_id=f"{day}@lists",
        )
        verdict = CLASSIFIER.classify(delay)
        reading = Reading(outcome=Outcome.DELAYED, reports=(delay,), fingerprint=bytes([day]))
        at = NOW - timedelta(days=20 - 5 * day)
        raw = RawInput(source="receiver", content=b"", received_at=at, trusted=True)
        await recorded(conn, *observe(raw, Judged(reading=reading, verdicts=(verdict,))))
        assert verdict.type is BounceType.SOFT

    evidence = await rows(conn, "SELECT outcome, type, bounce_id FROM observations")
    assert evidence == [{"outcome": "delayed", "type": None, "bounce_id": None}] * 4
    (counts,) = await rows(conn, "SELECT hard, soft, complaints FROM recipients")
    assert set(counts.values()) == {0}
    for name in ("bounces", "bounce_refs", "decisions", "suppressions", "outbox"):
        assert await rows(conn, f"TABLE mtabounce.{name}") == [], name
    assert await rows(conn, "TABLE listmonk.bounces") == []
    (subscriber,) = await rows(conn, "TABLE listmonk.subscribers")
    assert subscriber["status"] == "enabled"
    assert not await suppressed(conn)


async def test_claim_suppresses_nobody_but_is_decided_on(conn):
    await recorded(conn, *observed(HARD, proven=False))

    (decision,) = await rows(conn, "SELECT * FROM decisions")
    assert decision["why"].startswith("not acted on: unproven")
    assert not await suppressed(conn)


@pytest.mark.parametrize("ahead", [timedelta(seconds=5), timedelta(minutes=9)])
async def test_bounce_of_a_clock_that_is_ahead_counts_at_once(conn, ahead):
    days = (NOW - datetime.now(UTC) - ahead) / timedelta(days=1)
    await recorded(conn, *observed(HARD, days_ago=days))

    (bounce,) = await rows(conn, "SELECT first_seen_at > now() AS is_ahead FROM bounces")
    assert bounce["is_ahead"]
    assert await suppressed(conn)


async def test_name_without_a_domain_is_not_taken_for_a_domain(conn):
    await recorded(conn, *observed(HARD, name="example.org"))

    (decision,) = await rows(conn, "SELECT * FROM decisions")
    assert decision["why"] == "not acted on: a name without a domain is no address"
    assert await rows(conn, "SELECT mtabounce.refusal('example.org')") == []


async def test_block_against_us_suppresses_nobody(conn):
    for number in range(5):
        await recorded(conn, *observed(BLOCK, f"{number}@lists", 20 - number * 4))

    assert not await suppressed(conn)


async def test_soft_bounces_suppress_for_a_time(conn):
    for days_ago in (10, 6, 1):
        await recorded(conn, *observed(SOFT, f"{days_ago}@lists", days_ago))

    (one,) = await rows(conn, "SELECT * FROM suppressions")
    assert one["until"] == NOW + timedelta(days=29)
    assert await suppressed(conn)


async def test_delivery_lifts_what_is_soft(conn):
    for days_ago in (10, 6, 1):
        await recorded(conn, *observed(SOFT, f"{days_ago}@lists", days_ago, source="log:mx"))
    assert await suppressed(conn)

    await recorded(conn, arrived={"ann@example.org": NOW})

    assert not await suppressed(conn)
    assert await rows(conn, "SELECT * FROM suppressions") == []


async def test_delivery_and_bounces_that_are_recorded_at_the_same_time_know_of_each_other(
    conn, connecting
):
    await recorded(conn, *observed(BLOCK, source="log:mx"))  # so that it is known
    softs = [observed(SOFT, f"{day}@lists", day, source="log:mx")[0] for day in (10, 6, 1)]
    async with await connecting() as other:
        async with conn.transaction():
            await Recorder(PolicySettings()).record(conn, softs)
            arrival = asyncio.create_task(recorded(other, arrived={"ann@example.org": NOW}))
            done, _ = await asyncio.wait([arrival], timeout=0.5)
            assert not done
        await arrival

    assert not await suppressed(conn)


async def test_copy_of_a_mail_decides_nothing_new(conn):
    await recorded(conn, *observed(HARD))
    before = await rows(conn, "SELECT * FROM decisions")

    await recorded(conn, *observed(HARD))

    assert await rows(conn, "SELECT * FROM decisions") == before


async def test_word_of_an_operator_outlasts_bounces(conn):
    await recorded(conn, *observed(HARD, days_ago=3))
    await conn.execute(
        "INSERT INTO decisions (recipient_id, recipient, key, actor, action, why, decided_at)"
        " VALUES (1, 'ann@example.org', '\\x00', 'ops', 'remove', 'typo of ours', %s)",
        [NOW - timedelta(days=1)],
    )
    async with conn.transaction():
        await decide(conn, PolicySettings(), {"ann@example.org": 1})
    assert not await suppressed(conn)

    await recorded(conn, *observed(HARD, "2@lists"))
    assert await suppressed(conn)


@pytest.mark.parametrize("preset", ["standard", "listmonk", "careful"])
async def test_every_preset_acts_on_a_hard_bounce(conn, preset):
    await recorded(conn, *observed(HARD), preset=preset)

    assert await suppressed(conn)


async def test_bulk_check_gives_back_the_addresses_as_they_were_given(conn):
    await recorded(conn, *observed(HARD))

    found = await rows(
        conn, "SELECT * FROM check_recipients(ARRAY['ANN@example.org ', 'bob@example.org'])"
    )

    assert [(one["email"], one["cause"]) for one in found] == [("ANN@example.org ", "hard")]


async def test_suppression_that_is_over_is_lifted_and_that_is_written(conn):
    for days_ago in (50, 45, 40):
        await recorded(conn, *observed(SOFT, f"{days_ago}@lists", days_ago))
    await conn.execute(
        "INSERT INTO suppressions (recipient, cause, action, since, until)"
        " VALUES ('ann@example.org', 'soft', 'blocklist', %s, %s)",
        [NOW - timedelta(days=40), NOW - timedelta(days=10)],
    )

    assert await lift_ended(conn, PolicySettings()) == 1

    assert await rows(conn, "SELECT * FROM suppressions") == []
    lifts = await rows(conn, "SELECT * FROM decisions WHERE action = 'lift'")
    assert len(lifts) == 1
    assert await lift_ended(conn, PolicySettings()) == 0


@pytest.mark.parametrize("ahead", [timedelta(seconds=5), timedelta(minutes=9)])
async def test_clock_of_others_that_is_ahead_hides_nothing(conn, ahead):
    ahead_of_us = datetime.now(UTC) + ahead - NOW

    await recorded(conn, *observed(HARD, days_ago=-(ahead_of_us / timedelta(days=1))))

    assert await suppressed(conn)
    ((since,),) = await (await conn.execute("SELECT since <= now() FROM suppressions")).fetchall()
    assert since
    before = await rows(conn, "SELECT * FROM decisions")
    async with conn.transaction():
        await decide(conn, PolicySettings(), {"ann@example.org": 1})
    assert await rows(conn, "SELECT * FROM decisions") == before


async def test_delivery_that_was_decided_on_holds_when_a_later_one_came(conn):
    for days_ago, delivered in ((30, None), (22, 21), (20, 19), (10, None)):
        soft = observed(SOFT, f"{days_ago}@lists", days_ago, source="log:mx")
        at = NOW - timedelta(days=delivered or 31)
        await recorded(conn, *soft, arrived={"ann@example.org": at})

    told = await rows(conn, "SELECT action, why FROM decisions ORDER BY decided_at, id")
    assert [one["action"] for one in told] == ["none", "none", "clear", "none", "clear", "none"]
    assert not await suppressed(conn)


async def test_end_of_what_rests_on_nothing_any_more_is_a_decision(conn):
    await recorded(conn, *observed(HARD))
    await conn.execute("DELETE FROM bounces")
    async with conn.transaction():
        await decide(conn, PolicySettings(), {"ann@example.org": 1})

    told = await rows(conn, "SELECT action, why FROM decisions ORDER BY id")
    assert [one["action"] for one in told] == ["suppress", "lift"]
    assert told[1]["why"] == "what it rested on does not count any more"


@pytest.mark.parametrize("order", [1, -1])
async def test_bounce_suppresses_whom_the_mail_was_for_however_late_that_is_told(conn, order):
    logged = observed(HARD, name="ann@new.example", source="log:mx")
    told = observed(HARD, name="ann@new.example", original_recipient="ann@example.org")
    for one in [logged, told][::order]:
        await recorded(conn, *one)

    lifted = await rows(conn, "SELECT recipient, why FROM decisions WHERE action = 'lift'")
    why = "what it rested on does not count any more"
    assert await rows(conn, "SELECT recipient FROM suppressions") == [
        {"recipient": "ann@example.org"}
    ]
    assert lifted == [{"recipient": "ann@new.example", "why": why}] * (order == 1)


async def test_claims_by_the_hundred_are_read_and_decided_on_once(conn):
    for start in (0, 200):
        claims = [observed(HARD, f"{start + number}@x", proven=False) for number in range(200)]
        await recorded(conn, *[one for claim in claims for one in claim])

    ((number,),) = await (await conn.execute("SELECT count(*) FROM decisions")).fetchall()
    assert number == 400
    history = await histories(conn, [1], PolicySettings().trusts())
    assert history[1] == []


async def test_claim_moves_no_bounce_before_what_forgave_others(conn):
    await recorded(conn, *observed(HARD, "1@lists", days_ago=3))
    await conn.execute(
        "INSERT INTO decisions (recipient_id, recipient, key, actor, action, why, decided_at)"
        " VALUES (1, 'ann@example.org', '\\x00', 'ops', 'remove', 'asked', %s)",
        [NOW - timedelta(days=1)],
    )
    await recorded(conn, *observed(HARD, "2@lists"))

    await recorded(conn, *observed(HARD, "2@lists", days_ago=2, proven=False))

    (bounce,) = await rows(
        conn, "SELECT * FROM bounces WHERE first_seen_at > now() - '1 day'::interval"
    )
    assert bounce["observations"] == 2
    assert await suppressed(conn)


async def test_claim_that_came_first_does_not_date_what_is_proven_later(conn):
    await recorded(conn, *observed(HARD, "2@lists", days_ago=2, proven=False))
    await conn.execute("UPDATE bounces SET created_at = %s", [NOW - timedelta(days=2)])
    await conn.execute(
        "INSERT INTO decisions (recipient_id, recipient, key, actor, action, why, decided_at)"
        " VALUES (1, 'ann@example.org', '\\x00', 'ops', 'remove', 'asked', %s)",
        [NOW - timedelta(days=1)],
    )

    await recorded(conn, *observed(HARD, "2@lists"))

    assert await suppressed(conn)


async def test_claim_does_not_stretch_the_span_of_soft_bounces(conn):
    for days_ago in (3, 2, 1):
        await recorded(conn, *observed(SOFT, f"{days_ago}@lists", days_ago))

    await recorded(conn, *observed(SOFT, "3@lists", 20, proven=False))

    assert not await suppressed(conn)


async def test_claim_does_not_let_two_messages_be_one(conn):
    for number, days_ago in enumerate((10, 6, 1)):
        (one,) = observed(SOFT, f"{number}@lists", days_ago)
        await recorded(conn, one)
    claims = [{"queue_id": "Q1", "reporting_mta": "mx"}, {"original_envelope_id": "e"}]
    for facts in claims:
        for number in (0, 1, 2):
            (one,) = observed(SOFT, f"{number}@lists", 5, proven=False, **facts)
            await recorded(conn, one)

    assert len(await rows(conn, "SELECT * FROM bounces")) == 3
    assert await suppressed(conn)


MAILED = {
    "campaign": "spring",
    "list_id": "News, weekly <News.Example.org>",
    "original_from": "News <news@Mail.Example.net>",
}


@pytest.mark.parametrize(
    ("named", "fits"),
    [
        ({"campaign": "spring"}, True),
        ({"campaign": "summer"}, False),
        ({"list_id": "news.example.org"}, True),
        ({"list_id": "other.example.org"}, False),
        ({"sender": "mail.example.net"}, True),
        ({"sender": "example.net"}, False),
        ({"destination": "example.org"}, True),
        ({"destination": "example.com"}, False),
        ({"list_id": "news.example.org", "destination": "example.org"}, True),
        ({"list_id": "news.example.org", "destination": "example.com"}, False),
    ],
)
async def test_override_decides_on_what_it_names(conn, named, fits):
    lenient = {**named, "hard": {"count": 2}}

    await recorded(conn, *observed(HARD, **MAILED), override=[lenient])

    assert await suppressed(conn) is not fits
    (decision,) = await rows(conn, "SELECT settings FROM decisions")
    assert ("2 different messages" in decision["settings"]) is fits


async def test_unsubscription_is_of_the_list_that_the_header_names(conn):
    await recorded(conn, *observed(HARD, **MAILED), hard={"action": "unsubscribe"})

    (one,) = await rows(conn, "SELECT scope, action FROM suppressions")
    assert one == {"scope": "list:news.example.org", "action": "unsubscribe"}
    assert not await suppressed(conn)
    (row,) = await rows(
        conn, "SELECT is_suppressed('ann@example.org', 'list:news.example.org') AS it"
    )
    assert row["it"]


async def test_claim_moves_no_proven_bounce_in_time(conn):
    for days_ago in (3, 2, 1):  # too close together to suppress
        await recorded(conn, *observed(SOFT, f"{days_ago}@lists", days_ago))
    await recorded(conn, *observed(SOFT, "3@lists", 20, proven=False))

    assert not await suppressed(conn)


def told(verdict, days_ago, message="", **changes):
    """Return what the webhook of an ESP tells."""
    message = message or f"{days_ago}@lists"
    return observed(verdict, message, days_ago, source="webhook:esp", **changes)


async def test_delivery_that_an_esp_tells_of_clears_what_was_soft(conn):
    for days_ago in (12, 6):
        await recorded(conn, *told(SOFT, days_ago))
    await recorded(conn, *told(TAKEN, 4))
    await recorded(conn, *told(SOFT, 1))
    assert not await suppressed(conn)

    for days_ago in (0.8, 0.5):  # counted from the delivery: 3 messages, but within a day
        await recorded(conn, *told(SOFT, days_ago))
    assert not await suppressed(conn)


async def test_delivery_that_an_esp_tells_of_lifts_what_holds(conn):
    for days_ago in (12, 6, 3):
        await recorded(conn, *told(SOFT, days_ago))
    assert await suppressed(conn)

    await recorded(conn, *told(TAKEN, 13))
    assert await suppressed(conn)  # it was before

    await recorded(conn, *told(TAKEN, 1))
    assert not await suppressed(conn)


async def test_message_that_came_through_at_last_is_a_delivery(conn):
    for days_ago in (12, 6, 3):
        await recorded(conn, *told(SOFT, days_ago))

    await recorded(conn, *told(TAKEN, 2, "3@lists"))

    assert not await suppressed(conn)


@pytest.mark.parametrize("known_by", ["Message-ID", "its own id"])
async def test_delivery_proves_nothing_where_what_was_delivered_bounced_later(conn, known_by):
    for days_ago in (12, 6, 3):
        ids = {"queue_id": f"Q{days_ago}"} if known_by == "its own id" else {}
        message = "" if ids else f"{days_ago}@lists"
        await recorded(conn, *observed(TAKEN, message, days_ago + 0.1, source="webhook:esp", **ids))
        await recorded(conn, *observed(SOFT, message, days_ago, source="webhook:esp", **ids))

    await recorded(conn, *told(TAKEN, 1))

    assert await suppressed(conn)


async def test_bounce_is_told_as_that_of_a_taken_message_whenever_that_is_known(conn):
    for days_ago in (12, 6, 3):
        await recorded(conn, *told(SOFT, days_ago))
    await recorded(conn, *told(TAKEN, 1))
    assert not await suppressed(conn)

    for days_ago in (12, 6, 3):
        await recorded(conn, *told(TAKEN, days_ago + 0.1, f"{days_ago}@lists"))

    assert await suppressed(conn)


async def test_delivery_that_anybody_could_tell_of_proves_nothing(conn):
    for days_ago in (12, 6, 3):
        await recorded(conn, *told(SOFT, days_ago))

    await recorded(conn, *told(TAKEN, 1, proven=False))

    assert await suppressed(conn)
