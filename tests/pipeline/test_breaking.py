"""The night of 14 December 2020: Gmail said 550 5.1.1 for valid users, for hours."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from prometheus_client import REGISTRY
from psycopg.rows import dict_row

from mtabounce.cli import mtabounce
from mtabounce.correlate import observe
from mtabounce.errors import UsageError
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
from mtabounce.pipeline.upkeep import settle
from mtabounce.policy import PolicySettings
from mtabounce.store.incidents import close_incident

NIGHT = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=12)
UNKNOWN = Verdict(type=BounceType.HARD, reason="user_unknown", fault=Fault.RECIPIENT, rule="r1")
BLOCK = Verdict(type=BounceType.SOFT, reason="ip_blocked", fault=Fault.SENDER, rule="spamhaus")
SAID = "550-5.1.1 The email account that you tried to reach does not exist."


def seen(name, at, verdict=UNKNOWN, domain="gmail.com", sender="", said=SAID, trusted=True):
    report = Report(
        outcome=Outcome.BOUNCE,
        final_recipient=f"{name}@{domain}",
        action=Action.FAILED,
        original_message_id=f"{name}@lists",
        diagnostic_code=said,
        original_from=sender,
        remote_mta=f"mx.{domain}",
        occurred_at=at,
    )
    mark = f"{name}{trusted}".encode()
    reading = Reading(outcome=Outcome.BOUNCE, reports=(report,), fingerprint=mark, relayed=False)
    raw = RawInput(source="receiver", content=b"", received_at=at, trusted=trusted)
    return observe(raw, Judged(reading=reading, verdicts=(verdict,)))[0]


def spread(prefix, count, hours, *, begin=NIGHT, **how):
    step = timedelta(hours=hours) / count
    return [seen(f"{prefix}{number}", begin + step * number, **how) for number in range(count)]


async def recorded(conn, observations, batch=7):
    recorder = Recorder(PolicySettings())
    for start in range(0, len(observations), batch):
        async with conn.transaction():
            await recorder.record(conn, observations[start : start + batch])


async def rows(conn, query):
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query)
        return await cursor.fetchall()


async def suppressed(conn, prefix):
    found = await rows(conn, "SELECT recipient FROM active_suppressions")
    return sum(one["recipient"].startswith(prefix) for one in found)


@pytest.fixture
async def night(conn):
    """Five days with some bounces each hour, then six hours in which most mails bounce."""
    for day in range(1, 6):
        begin = NIGHT - timedelta(days=day)
        await recorded(conn, spread(f"gone{day}x", 12, 4, begin=begin), 12)
    await recorded(conn, spread("user", 300, 6))
    return conn


@pytest.fixture
def cli(database_url, tmp_path):
    config = tmp_path / "mtabounce.toml"
    config.write_text(f'[database]\nurl = "{database_url}"\n')

    async def run(*words):
        arguments = ["--config", str(config), *words]
        result = await asyncio.to_thread(CliRunner().invoke, mtabounce, arguments)
        assert result.exception is None, result.output
        return result.output

    return run


async def test_no_more_than_the_first_twenty_are_suppressed(night):
    assert await suppressed(night, "user") <= 20
    assert await suppressed(night, "gone") == 60

    (incident,) = await rows(night, "SELECT * FROM incidents")
    assert (incident["kind"], incident["operator"]) == ("jump", "google")
    assert (incident["reason"], incident["state"]) == ("user_unknown", "open")
    assert incident["said"] == SAID


async def test_others_are_told_once_of_an_incident(conn):
    await conn.execute("INSERT INTO sinks VALUES ('crm', '{incident}')")
    await recorded(conn, spread("user", 60, 2))
    await settle(conn, PolicySettings())

    (message,) = await rows(conn, "SELECT * FROM outbox")
    assert (message["event"], message["recipient"]) == ("incident", "")
    told = message["payload"]
    assert told["what"] == "hard bounces (user_unknown) at google jump"
    assert (told["kind"], told["operator"], told["recipients"]) == ("jump", "google", 20)
    assert REGISTRY.get_sample_value("mtabounce_incidents_open") == 1


async def test_bounce_that_was_committed_while_its_incident_began_is_held(night):
    """Its recorder saw no incident yet, and that of the incident did not see it."""
    await settle(night, PolicySettings())
    await night.execute(
        "DELETE FROM incident_bounces"
        " WHERE bounce_id = (SELECT max(bounce_id) FROM incident_bounces)"
    )
    (bounce,) = await rows(
        night,
        "SELECT b.id, b.recipient_id, b.recipient FROM bounces AS b JOIN breaker_counts AS c"
        " ON c.bounce_id = b.id AND c.operator = 'google' AND c.recipient LIKE 'user%'"
        " WHERE NOT EXISTS (SELECT FROM incident_bounces AS h WHERE h.bounce_id = b.id)",
    )
    async with night.transaction():
        await decide(night, PolicySettings(), {bounce["recipient"]: bounce["recipient_id"]})
    assert await suppressed(night, bounce["recipient"]) == 1

    await settle(night, PolicySettings())

    assert await suppressed(night, bounce["recipient"]) == 0


async def test_the_first_ones_are_let_go_when_policy_looks_again(night):
    await settle(night, PolicySettings())

    assert await suppressed(night, "user") == 0
    assert await suppressed(night, "gone") == 60


async def test_one_command_reverts_it(night, cli):
    assert "hard bounces (user_unknown) at google jump" in await cli("incidents", "list")

    await cli("incidents", "revert", "1", "--yes", "--why", "outage at Gmail")

    assert await suppressed(night, "user") == 0
    assert await suppressed(night, "gone") == 60
    assert "outage at Gmail" in await cli("incidents", "show", "1")
    (left,) = await rows(night, "SELECT count(*) FROM incident_bounces WHERE NOT settled")
    assert left["count"] == 0
    assert "held back by incident 1" in await cli("why", "user200@gmail.com")


@pytest.mark.parametrize(("verb", "state"), [("confirm", "confirmed"), ("revert", "reverted")])
async def test_others_are_told_once_what_somebody_said_it_was(conn, cli, verb, state):
    await recorded(conn, spread("user", 60, 2))
    await conn.execute("INSERT INTO sinks VALUES ('crm', '{incident}')")

    for _ in range(2):
        await cli("incidents", verb, "1", "--yes", "--why", "seen to")

    (message,) = await rows(conn, "SELECT * FROM outbox")
    told = message["payload"]
    assert (told["id"], told["state"], told["why"]) == (1, state, "seen to")
    assert told["what"] == "hard bounces (user_unknown) at google jump"
    assert (told["recipients"], told["said"]) == (60, SAID)


async def test_confirmed_bounces_count_and_can_still_be_undone(night, cli):
    await cli("incidents", "confirm", "1", "--yes")
    assert await suppressed(night, "user") == 300

    await recorded(night, spread("later", 30, 1, begin=NIGHT + timedelta(hours=6)))
    assert await suppressed(night, "later") == 30

    await cli("suppressions", "undo", "--incident", "1", "--yes")
    assert await suppressed(night, "user") == 0
    assert await suppressed(night, "gone") == 60


async def test_other_operators_and_reasons_go_on(night):
    at = NIGHT + timedelta(hours=2)
    moved = UNKNOWN._replace(reason="mailbox_moved")
    await recorded(night, [seen("eva", at, domain="example.org"), seen("fay", at, verdict=moved)])

    assert await suppressed(night, "eva") == 1
    assert await suppressed(night, "fay") == 1


async def test_what_still_comes_belongs_to_the_open_incident(night):
    await recorded(night, spread("tail", 30, 5, begin=NIGHT + timedelta(hours=6, minutes=10)), 2)

    await settle(night, PolicySettings())
    assert await suppressed(night, "tail") == 0
    (incident,) = await rows(night, "SELECT * FROM incidents")
    assert incident["last_at"] > NIGHT + timedelta(hours=10)
    (held,) = await rows(night, "SELECT count(*) FROM incident_bounces WHERE recipient ~ '^tail'")
    assert held["count"] == 30


async def test_bounces_count_again_when_an_operator_closed_it(night, cli):
    await cli("incidents", "revert", "1", "--yes")

    await recorded(night, spread("after", 4, 1, begin=NIGHT + timedelta(hours=10)))

    assert await suppressed(night, "after") == 4


async def test_bounces_count_again_when_there_was_none_for_a_day(conn):
    begin = NIGHT - timedelta(days=2)
    await recorded(conn, spread("user", 60, 1, begin=begin))
    await recorded(conn, spread("after", 4, 1, begin=begin + timedelta(hours=26)))

    assert await suppressed(conn, "after") == 4


async def test_forged_bounces_hold_nobody_back(conn):
    await recorded(conn, spread("invented", 60, 1, trusted=False))
    await recorded(conn, spread("gone", 5, 1, begin=NIGHT + timedelta(minutes=50)))

    assert await rows(conn, "SELECT * FROM incidents") == []
    assert await suppressed(conn, "gone") == 5


async def test_bounces_are_counted_when_they_are_proven(conn):
    await recorded(conn, spread("user", 60, 1, trusted=False))
    await recorded(conn, spread("user", 60, 1))

    (incident,) = await rows(conn, "SELECT * FROM incidents")
    assert incident["operator"] == "google"
    assert await suppressed(conn, "user") <= 20
    (counted,) = await rows(conn, "SELECT count(*) FROM breaker_counts")
    assert counted["count"] == 60


async def test_what_logs_say_was_delivered_shows_that_few_bounced(conn):
    await conn.execute(
        "INSERT INTO delivery_stats (hour, domain, relay, sender_domain, sent)"
        " VALUES (%s, 'gmail.com', 'gmail-smtp-in.l.google.com', 'example.org', 5000)",
        [NIGHT],
    )

    await recorded(conn, spread("user", 100, 1))

    assert await rows(conn, "SELECT * FROM incidents") == []
    assert await suppressed(conn, "user") == 100


async def test_run_of_blocks_raises_that_we_are_blocked_and_suppresses_nobody(conn, cli):
    said = "550 5.7.1 Service unavailable, Client host [192.0.2.1] blocked using Spamhaus"
    await recorded(conn, spread("user", 40, 1, verdict=BLOCK, domain="outlook.com", said=said))

    listed = await cli("incidents", "list")
    assert "you are blocked at microsoft by Spamhaus (ip_blocked)" in listed
    assert await suppressed(conn, "user") == 0
    (counted,) = await rows(conn, "SELECT count(*) FROM incident_bounces")
    assert counted["count"] == 40


POLICY = Verdict(type=BounceType.SOFT, reason="policy_rejected", fault=Fault.SENDER, rule="r2")
FROM = "News <news@list.example.org>"


def everywhere(prefix, count, *, each=3, **how):
    """Bounces of one sender within an hour, *each* at one destination."""
    step = timedelta(hours=1) / count
    return [
        seen(f"{prefix}{n}", NIGHT + step * n, domain=f"d{n // each}.example", sender=FROM, **how)
        for n in range(count)
    ]


async def test_sender_refused_everywhere_is_told_and_nobody_is_suppressed(conn, cli):
    await recorded(conn, everywhere("user", 60, verdict=POLICY, said="550 5.7.1 refused"))

    listed = await cli("incidents", "list")
    assert "mail from list.example.org is blocked at many operators" in listed
    assert await suppressed(conn, "user") == 0
    assert len(await rows(conn, "SELECT * FROM incidents")) == 1


async def test_sender_whose_hard_bounces_jump_everywhere_is_held(conn, cli):
    await recorded(conn, everywhere("user", 250), batch=50)

    assert await suppressed(conn, "user") <= 200
    assert "hard bounces of mail from list.example.org jump" in await cli("incidents", "list")
    await cli("incidents", "revert", "1", "--yes")
    assert await suppressed(conn, "user") == 0


async def test_what_an_operator_explains_is_not_held_against_the_sender(conn):
    await recorded(conn, spread("user", 300, 1, sender=FROM), batch=50)

    (one,) = await rows(conn, "SELECT operator, sender FROM incidents")
    assert one == {"operator": "google", "sender": ""}


async def test_few_bounces_of_a_sender_at_many_places_are_what_they_seem(conn):
    await recorded(conn, everywhere("user", 60))

    assert await rows(conn, "SELECT * FROM incidents") == []
    assert await suppressed(conn, "user") == 60


async def test_breaker_can_be_switched_off(conn):
    recorder = Recorder(PolicySettings.model_validate({"breaker": {"enabled": False}}))
    async with conn.transaction():
        await recorder.record(conn, spread("user", 60, 1))

    assert await suppressed(conn, "user") == 60


def test_incident_that_is_not_there_is_said_not_to_be(database_url, tmp_path):
    config = tmp_path / "mtabounce.toml"
    config.write_text(f'[database]\nurl = "{database_url}"\n')

    result = CliRunner().invoke(mtabounce, ["--config", str(config), "incidents", "show", "9"])

    assert isinstance(result.exception, UsageError)


async def test_recorders_of_an_incident_wait_for_nobody_and_a_confirmation_for_them(
    conn, connecting
):
    await recorded(conn, spread("user", 30, 0.5))
    late = [seen(f"late{n}", NIGHT + timedelta(minutes=40 + n)) for n in range(4)]
    all_have_written, go_on = asyncio.Barrier(5), asyncio.Event()

    async def record(observation):
        async with await connecting() as mine, mine.transaction():
            await Recorder(PolicySettings()).record(mine, [observation])
            await all_have_written.wait()
            await go_on.wait()

    async def confirm():
        (incident,) = await rows(conn, "SELECT * FROM incidents")
        async with await connecting() as mine, mine.transaction():
            return await close_incident(mine, incident["id"], "confirmed", "ops", "")

    workers = [asyncio.create_task(record(one)) for one in late]
    async with asyncio.timeout(60):
        await all_have_written.wait()
    confirmation = asyncio.create_task(confirm())
    done, _ = await asyncio.wait([confirmation], timeout=0.5)
    assert not done
    go_on.set()
    await asyncio.gather(*workers)
    assert await confirmation
    await settle(conn, PolicySettings())

    assert await suppressed(conn, "late") == 4
