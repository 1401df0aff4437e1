"""What logs said is judged again by what is stored of it, as no input is kept."""

from datetime import UTC, datetime, timedelta

import pytest
from psycopg.rows import dict_row

from mtabounce import classify
from mtabounce.correlate import observe_delivery
from mtabounce.model import Action, EnhancedStatus, Outcome, Report
from mtabounce.pipeline.decide import Recorder
from mtabounce.pipeline.rewrite_logs import logged_again
from mtabounce.policy import PolicySettings
from mtabounce.store.rewrite import SQL, Selection

RECORDER = Recorder(PolicySettings())
NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
TODAY = classify.load()
OWN = """\
[[rule]]
id = "mars"
reason = "mailbox_moved"
command = "RCPT TO"
text = 'tenant'
match = [{ diagnostic_code = "550 5.1.1 The tenant moved", command = "RCPT TO" }]
"""


@pytest.fixture
def own(tmp_path):
    (tmp_path / "mars.toml").write_text(OWN)
    return classify.load(tmp_path)


def logged(number=1, said="550 5.1.1 The tenant moved to Mars", **changes):
    facts = {
        "outcome": Outcome.BOUNCE,
        "final_recipient": f"ann{number}@example.org",
        "action": Action.FAILED,
        "status": EnhancedStatus(5, 1, 1),
        "diagnostic_code": said,
        "command": "RCPT TO",
        "reporting_mta": "mail.example.net",
        "queue_id": f"4F{number:X}",
        "original_from": "news@example.net",
        "occurred_at": NOW,
    }
    return Report(**{**facts, **changes})


async def recorded(conn, *reports, classifier=TODAY):
    seen = [
        observe_delivery(one, classifier.classify(one), source="log:mail", parser="log")
        for one in reports
    ]
    async with conn.transaction():
        await RECORDER.record(conn, seen)


async def again(connecting, classifier, *, write, first=0, **selection):
    steps = logged_again(
        connecting, classifier, Selection(**selection), RECORDER, write=write, first=first
    )
    return [step async for step in steps]


def told(steps):
    return [(one.input_id, one.was, one.now, one.rule) for step in steps for one in step.found]


async def rows(conn, query):
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query)
        return await cursor.fetchall()


async def test_new_rule_judges_what_a_log_said(conn, connecting, own):
    await recorded(conn, logged())
    (before,) = await rows(conn, "SELECT * FROM bounces")
    wanted = [(None, "hard user_unknown 5.1.1", "hard mailbox_moved 5.1.1", "mars")]

    assert told(await again(connecting, own, write=False)) == wanted
    assert (await rows(conn, "SELECT * FROM bounces")) == [before]
    assert told(await again(connecting, own, write=True)) == wanted

    (after,) = await rows(conn, "SELECT * FROM bounces")
    assert (after["reason"], after["rule"]) == ("mailbox_moved", "mars")
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"reason", "rule"}
    assert told(await again(connecting, own, write=True)) == []


async def test_what_no_rule_changes_is_read_as_it_was_recorded(conn, connecting):
    reports = [
        logged(1),
        logged(2, "connect to mx.example.org[192.0.2.1]:25: Connection refused", status=None),
        logged(3, "retry timeout exceeded", status=EnhancedStatus(4, 4, 7), native_code="expired"),
        logged(4, "550 no \0 \x1b[31m user", status=EnhancedStatus(5, 0, 0)),
        logged(5, "552 full", remote_mta="gmail-smtp-in.l.google.com", command="DATA"),
        logged(6, "550 5.1.1 no", original_recipient="Bob@Example.COM", final_recipient="b@x.org"),
    ]
    await recorded(conn, *reports)

    steps = await again(connecting, TODAY, write=True)

    assert told(steps) == []
    assert sum(step.judged for step in steps) == len(reports)


async def test_bounce_becomes_soft_and_counts_so(conn, connecting):
    await recorded(conn, logged(said="450 4.2.2 gone", status=EnhancedStatus(4, 2, 2)))
    harsh = classify.load(types={"mailbox_full": "none"})

    await again(connecting, harsh, write=True)

    assert await rows(conn, "SELECT * FROM bounces") == []
    (counts,) = await rows(conn, "SELECT hard, soft FROM recipients")
    assert set(counts.values()) == {0}

    await again(connecting, TODAY, write=True)  # of a type again: it is a bounce again

    (bounce,) = await rows(conn, "SELECT reason, type FROM bounces")
    assert bounce == {"reason": "mailbox_full", "type": "soft"}
    (counts,) = await rows(conn, "SELECT hard, soft FROM recipients")
    assert counts == {"hard": 0, "soft": 1}


async def test_many_are_judged_in_steps_and_a_run_goes_on_where_one_was(conn, connecting, own):
    await recorded(conn, *(logged(number) for number in range(250)))

    steps = await again(connecting, own, write=False)
    assert [step.judged for step in steps] == [100, 100, 50]
    place = int(steps[0].place.removeprefix("log:"))
    rest = await again(connecting, own, write=True, first=place)

    assert sum(step.judged for step in rest) == 151  # of that recipient, some might have been left
    left = await rows(conn, "SELECT count(*) FROM bounces WHERE reason = 'user_unknown'")
    assert left == [{"count": 99}]


async def test_only_what_is_asked_for_is_judged(conn, connecting, own):
    await recorded(conn, logged(1), logged(2, occurred_at=NOW - timedelta(days=9)))

    since = await again(connecting, own, write=False, since=NOW - timedelta(days=1))
    delayed = await again(connecting, own, write=False, outcome="delayed")

    assert len(told(since)) == 1
    assert told(delayed) == []


async def test_step_reads_only_what_it_judges_however_much_was_before(conn):
    await conn.execute(
        "INSERT INTO recipients (recipient, domain)"
        " SELECT n || '@example.org', 'example.org' FROM generate_series(1, 3000) AS n"
    )
    await conn.execute(
        "INSERT INTO observations (recipient_id, occurred_at, key, source, parser, trust, outcome,"
        " reason, rule, final_recipient)"
        " SELECT id, now(), decode(lpad(to_hex(id), 64, '0'), 'hex'), 'log:mail', 'log', 'proven',"
        " 'bounce', 'expired', 'r', recipient FROM recipients"
    )
    for never in ("enable_nestloop", "enable_hashjoin", "enable_sort"):  # as large tables are read
        await conn.execute(f"SET {never} = off")
    (last,) = await (await conn.execute("SELECT max(id) FROM recipients")).fetchone()
    args = {"recipient_id": last - 10, "occurred_at": NOW, "key": b"", "limit": 100}

    asked = f"EXPLAIN (ANALYZE, FORMAT JSON) {SQL['logged_to_judge']}"
    cursor = await conn.execute(asked, args | {"since": None, "outcome": None})

    ((plan,),) = (await cursor.fetchone(),)
    assert max(rows_read(plan[0]["Plan"])) <= 20


def rows_read(node):
    yield node["Actual Rows"]
    for inner in node.get("Plans", ()):
        yield from rows_read(inner)
