"""Observations become rows: once each, one bounce for a failure, and recipients counted."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from psycopg.rows import dict_row

from mtabounce.correlate import observe
from mtabounce.model import (
    Action,
    BounceType,
    EnhancedStatus,
    Fault,
    Judged,
    Outcome,
    RawInput,
    Reading,
    Report,
    Verdict,
)
from mtabounce.pipeline.record import AnotherWasFirst, storable
from mtabounce.pipeline.record import record as record_of
from mtabounce.store.connection import connect_sync
from mtabounce.store.record import recipient_ids

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HARD = Verdict(
    type=BounceType.HARD,
    reason="user_unknown",
    fault=Fault.RECIPIENT,
    rule="status-5.1.1",
    status=EnhancedStatus(5, 1, 1),
    reply_code=550,
)
SOFT = Verdict(type=BounceType.SOFT, reason="mailbox_full", fault=Fault.RECIPIENT, rule="full")
DELAY = Verdict(type=None, reason="delayed", fault=None, rule="outcome")


def report(recipient="ann@example.org", **changes):
    known = {"outcome": Outcome.BOUNCE, "action": Action.FAILED, "original_message_id": "1@lists"}
    return Report(**{**known, "final_recipient": recipient, **changes})


def observed(*reports, verdict=HARD, fingerprint=b"mail", relayed=True, **changes):
    raw = replace(RawInput(source="receiver", content=b"", received_at=NOW), **changes)
    reading = Reading(
        outcome=Outcome.BOUNCE,
        reports=reports,
        parser="dsn",
        fingerprint=fingerprint,
        relayed=relayed,
    )
    return observe(raw, Judged(reading=reading, verdicts=(verdict,) * len(reports)))


async def record(conn, observations):
    clean = [storable(one) for one in observations]
    ids = await recipient_ids(conn, [one.recipient for one in clean])
    return await record_of(conn, clean, ids)


async def recorded(conn, *observations):
    async with conn.transaction():
        await record(conn, observations)


async def rows(conn, query):
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query)
        return await cursor.fetchall()


async def test_report_becomes_a_bounce_with_its_evidence(conn):
    await recorded(
        conn, *observed(report(diagnostic_code="550 5.1.1 no such user", campaign="spring"))
    )

    (bounce,) = await rows(conn, "SELECT * FROM bounces")
    (evidence,) = await rows(conn, "SELECT * FROM observations")
    (campaign,) = await rows(conn, "SELECT * FROM campaigns")
    assert (bounce["recipient"], bounce["type"], bounce["reason"]) == (
        "ann@example.org",
        "hard",
        "user_unknown",
    )
    assert (bounce["status"], bounce["reply_code"], bounce["trust"]) == ("5.1.1", 550, "claimed")
    assert (bounce["sources"], bounce["observations"]) == (["receiver"], 1)
    assert (bounce["first_seen_at"], bounce["campaign_id"]) == (NOW, campaign["id"])
    assert (evidence["bounce_id"], evidence["rule"]) == (bounce["id"], "status-5.1.1")
    assert bounce["decisive"] == evidence["key"]


async def test_copy_of_a_mail_counts_once(conn):
    await recorded(conn, *observed(report()))
    for source in ("receiver", "pop3:a", "pop3:b"):
        later = NOW + timedelta(days=2)
        await recorded(conn, *observed(report(), source=source, received_at=later))

    seen = await rows(conn, "SELECT source FROM observations ORDER BY source")
    assert [row["source"] for row in seen] == ["pop3:a", "receiver"]
    assert [row["hard"] for row in await rows(conn, "SELECT * FROM recipients")] == [1]


async def test_copies_in_one_transaction_count_once(conn):
    await recorded(conn, *observed(report()), *observed(report()))

    assert [row["observations"] for row in await rows(conn, "SELECT * FROM bounces")] == [1]


async def test_second_report_on_a_failure_joins_its_bounce(conn):
    await recorded(conn, *observed(report(), verdict=SOFT))
    await recorded(
        conn, *observed(report(), fingerprint=b"2", trusted=True, relayed=False, source="pipe")
    )

    (bounce,) = await rows(conn, "SELECT * FROM bounces")
    (ann,) = await rows(conn, "SELECT * FROM recipients")
    assert (bounce["type"], bounce["trust"], bounce["observations"]) == ("hard", "proven", 2)
    assert bounce["sources"] == ["pipe", "receiver"]
    assert (ann["hard"], ann["soft"]) == (1, 0)


async def test_late_link_makes_two_bounces_one(conn):
    queued = {"queue_id": "4F1", "reporting_mta": "mx"}
    await recorded(conn, *observed(report(original_message_id="", **queued), fingerprint=b"1"))
    await recorded(conn, *observed(report(), fingerprint=b"2"))
    assert len(await rows(conn, "SELECT * FROM bounces")) == 2

    own = observed(report(**queued), fingerprint=b"3", trusted=True, relayed=False)
    await recorded(conn, *own)

    (bounce,) = await rows(conn, "SELECT * FROM bounces")
    evidence = await rows(conn, "SELECT * FROM observations")
    refs = await rows(conn, "SELECT DISTINCT bounce_id FROM bounce_refs")
    assert (bounce["observations"], bounce["queue_id"]) == (3, "4F1")
    assert {one["bounce_id"] for one in evidence} == {bounce["id"]}
    assert refs == [{"bounce_id": bounce["id"]}]
    assert [row["hard"] for row in await rows(conn, "SELECT * FROM recipients")] == [1]


async def test_bounce_known_by_the_forwarded_address_is_found(conn):
    await recorded(conn, *observed(report("ann@new.example"), fingerprint=b"1"))
    full = report("ann@new.example", original_recipient="ann@example.org")
    await recorded(conn, *observed(full, fingerprint=b"2", trusted=True, relayed=False))

    (bounce,) = await rows(conn, "SELECT * FROM bounces")
    counts = {row["recipient"]: row["hard"] for row in await rows(conn, "SELECT * FROM recipients")}
    assert bounce["recipient"] == "ann@example.org"
    assert counts == {"ann@example.org": 1, "ann@new.example": 0}


async def test_delay_is_evidence_but_no_bounce(conn):
    await recorded(conn, *observed(report(outcome=Outcome.DELAYED), verdict=DELAY))

    assert await rows(conn, "SELECT * FROM bounces") == []
    assert [row["bounce_id"] for row in await rows(conn, "SELECT * FROM observations")] == [None]


async def test_hostile_text_is_stored_cleaned(conn):
    nasty = "550 \0 \x1b[31m \udcff no \u0007"
    await recorded(
        conn, *observed(report(diagnostic_code=nasty, original_subject="\0", campaign="\0a"))
    )

    (bounce,) = await rows(conn, "SELECT * FROM bounces")
    assert bounce["diagnostic_code"] == "550 \ufffd [31m \ufffd no "
    assert bounce["meta"] == {"subject": "\ufffd"}


async def test_two_recorders_of_one_failure_make_one_bounce(conn, connecting):
    first, second = observed(report(), fingerprint=b"1"), observed(report(), fingerprint=b"2")
    async with await connecting() as other:
        async with conn.transaction():
            await record(conn, first)
            waiting = asyncio.create_task(recorded(other, *second))
            await asyncio.sleep(0.2)
            assert not waiting.done()
        await waiting

    assert [row["observations"] for row in await rows(conn, "SELECT * FROM bounces")] == [2]


async def test_recorder_that_comes_second_by_another_name_does_it_again(conn, connecting):
    """It holds the row of another recipient, so only the ref tells that somebody was first."""
    full = report("ann@new.example", original_recipient="ann@example.org")
    final = report("ann@new.example")
    async with await connecting() as other:
        async with conn.transaction():
            await record(conn, observed(full, fingerprint=b"1", trusted=True, relayed=False))
            waiting = asyncio.create_task(recorded(other, *observed(final, fingerprint=b"2")))
            await asyncio.sleep(0.2)
        with pytest.raises(AnotherWasFirst):
            await waiting
        await recorded(other, *observed(final, fingerprint=b"2"))

    assert [row["observations"] for row in await rows(conn, "SELECT * FROM bounces")] == [2]


async def test_listeners_are_told_after_commit(conn, database_url):
    with connect_sync(database_url, application_name="listener") as listener:
        listener.execute("LISTEN mtabounce_bounce")
        await recorded(conn, *observed(report()))

        (note,) = list(listener.notifies(timeout=30, stop_after=1))

    told = json.loads(note.payload)
    assert told | {"id": 0} == {
        "id": 0,
        "recipient": "ann@example.org",
        "type": "hard",
        "reason": "user_unknown",
        "new": True,
    }


async def test_many_recipients_are_recorded_at_once(conn):
    reports = [report(f"user{number}@example.org") for number in range(1_000)]

    await recorded(conn, *observed(*reports))

    (count,) = await rows(
        conn, "SELECT count(*) AS bounces, count(DISTINCT recipient) AS people FROM bounces"
    )
    assert count == {"bounces": 1_000, "people": 1_000}
