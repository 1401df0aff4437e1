"""Workers: inputs become rows or failures, whatever they are and whoever dies."""

import asyncio
from datetime import UTC, datetime
from itertools import product

import psycopg
import pytest

from mtabounce.model import RawInput
from mtabounce.pipeline import worker as module
from mtabounce.pipeline.decide import Recorder
from mtabounce.pipeline.judge_process import JudgeSettings
from mtabounce.pipeline.judging import Judging
from mtabounce.pipeline.worker import Worker
from mtabounce.policy import PolicySettings
from mtabounce.store import inputs

RECORDER = Recorder(PolicySettings())
DSN = b"""\
From: MAILER-DAEMON@mx.example.org
Subject: Undelivered Mail Returned to Sender
Message-ID: <%(number)d@mx.example.org>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org

Final-Recipient: rfc822; user%(number)d@example.org
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 User unknown

--b
Content-Type: text/rfc822-headers

Message-ID: <%(number)d@lists.example.org>
X-Campaign-Id: spring

--b--
"""


SLOW = b"From: MAILER-DAEMON@a\nSubject: Undelivered\n\n" + b"<a@b.c>: 550 no\n" * 4_000_000


def dsn(number):
    return DSN % {b"number": number}


def judging(**limits):
    known = {"deadline": 5.0, "memory": 256 * 2**20}
    return Judging(JudgeSettings(), **{**known, **limits})


@pytest.fixture
def judges():
    return judging()


async def appended(conn, *contents):
    raws = [
        RawInput(source="receiver", content=content, received_at=datetime.now(UTC))
        for content in contents
    ]
    await inputs.append(conn, raws)


async def worked(connecting, judges, **settings):
    await Worker(connecting, judges, RECORDER, asyncio.Event(), until_idle=True, **settings).run()


async def run_until_recorded(worker, conn):
    running = asyncio.create_task(worker.run())
    for _ in range(1500):
        if await recipients(conn):
            break
        await asyncio.sleep(0.02)
    worker.stop()
    await running


async def states(conn):
    cursor = await conn.execute("SELECT state, outcome, error FROM inputs ORDER BY id")
    return await cursor.fetchall()


async def recipients(conn):
    cursor = await conn.execute("SELECT recipient, type, reason FROM bounces ORDER BY recipient")
    return await cursor.fetchall()


async def test_bounce_becomes_a_row(conn, connecting, judges):
    await appended(conn, dsn(1))

    await worked(connecting, judges)

    assert await states(conn) == [("done", "bounce", "")]
    assert await recipients(conn) == [("user1@example.org", "hard", "user_unknown")]


async def test_mail_that_is_no_bounce_is_kept_and_says_so(conn, connecting, judges):
    await appended(conn, b"Subject: lunch?\n\nAt noon?\n", b"", b"\0\xff" * 1000)

    await worked(connecting, judges)

    assert await states(conn) == [("done", "unrecognized", "")] * 3


async def test_batches_are_worked_off_to_the_end(conn, connecting, judges):
    await appended(conn, *(dsn(number) for number in range(25)))

    await worked(connecting, judges, batch=10)

    assert len(await recipients(conn)) == 25


async def test_workers_share_the_inputs(conn, connecting, judges):
    await appended(conn, *(dsn(number) for number in range(60)))

    await asyncio.gather(*(worked(connecting, judging(), batch=7) for _ in range(3)))

    assert {state for state, _, _ in await states(conn)} == {"done"}
    assert len(await recipients(conn)) == 60


async def test_input_that_takes_too_long_fails_alone(conn, connecting, judges):
    await appended(conn, dsn(1), SLOW, dsn(2))

    await worked(connecting, judging(deadline=0.15))

    found = await states(conn)
    assert [state for state, _, _ in found] == ["done", "failed", "done"]
    assert found[1][2].startswith("too slow")


async def test_input_that_takes_too_much_memory_fails_alone(conn, connecting):
    await appended(conn, dsn(1), b"x" * 40_000_000, dsn(2))

    await worked(connecting, judging(memory=12 * 2**20))

    found = await states(conn)
    assert [state for state, _, _ in found] == ["done", "failed", "done"]
    assert found[1][2]


def nested(depth):
    """Return a mail of so many multiparts inside each other."""
    levels = (
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (level, level)
        for level in range(depth)
    )
    return b"From: MAILER-DAEMON@x.test\n" + b"".join(levels) + b"\n" + dsn(1)


@pytest.mark.parametrize("depth", [1_000, 5_000])
async def test_input_nested_too_deep_is_done_and_says_so(conn, connecting, judges, depth):
    await appended(conn, nested(depth), dsn(2))

    await worked(connecting, judges)

    deep, other = await states(conn)
    assert deep[:2] == ("done", "unrecognized")
    assert "deeper than 100" in deep[2]
    assert other == ("done", "bounce", "")


async def test_recipients_beyond_the_limit_are_said_to_be_left_out(conn, connecting, judges):
    start, end = dsn(1).index(b"Final-"), dsn(1).index(b"\n--b\nContent-Type: text/rfc822")
    block = dsn(1)[start:end]
    many = b"".join(block.replace(b"user1@", b"u%d@" % number) for number in range(20_000))
    await appended(conn, dsn(1)[:start] + many + dsn(1)[end:])

    await worked(connecting, judges)

    (found,) = await states(conn)
    assert found[:2] == ("done", "bounce")
    assert "only the first 1000 are read" in found[2]
    assert len(await recipients(conn)) == 1000


# A NUL, a lone surrogate in UTF-8, a byte of no character, half a character, a long word.
POISONS = [b"\0", b"\xed\xa0\x80", b"\xff", b"\xf0\x9f", b"x" * 70_000, b"\x1b[2J\x9b\x07"]
FIELDS = [b"From", b"Subject", b"Message-ID", b"Reporting-MTA", b"Final-Recipient", b"Action"]
FIELDS += [b"Status", b"Diagnostic-Code", b"X-Campaign-Id"]


async def test_what_the_database_would_not_take_is_stored_all_the_same(conn, connecting, judges):
    poisoned = [
        dsn(number).replace(field + b": ", field + b": " + poison, 1)
        for number, (field, poison) in enumerate(product(FIELDS, POISONS))
    ]
    ends = [dsn(900).replace(b" User unknown\n", b" " + poison + b"\n") for poison in POISONS]
    names = [dsn(901).replace(b"user901@", b"us" + poison + b"er@") for poison in POISONS]
    await appended(conn, *poisoned, *ends, *names)

    await worked(connecting, judges)

    found = await states(conn)
    assert {state for state, _, _ in found} == {"done"}
    assert [outcome for _, outcome, _ in found].count("bounce") >= len(POISONS) * 8


class Stumbling(Recorder):
    """Has a bug that one recipient brings out."""

    async def record(self, conn, observations):
        if any(one.recipient == "user2@example.org" for one in observations):
            raise KeyError("user2")
        await super().record(conn, observations)


class Failing(Recorder):
    """Fails at first for a reason that is not in the inputs."""

    def __init__(self, error):
        super().__init__(PolicySettings())
        self.errors = [error]

    async def record(self, conn, observations):
        if self.errors:
            raise self.errors.pop()
        await super().record(conn, observations)


async def test_input_that_brings_out_a_bug_fails_alone(conn, connecting, judges):
    await appended(conn, dsn(1), dsn(2), dsn(3))

    await Worker(
        connecting, judges, Stumbling(PolicySettings()), asyncio.Event(), until_idle=True
    ).run()

    found = await states(conn)
    assert [state for state, _, _ in found] == ["done", "failed", "done"]
    assert found[1][2] == "not storable: KeyError: 'user2'"
    assert len(await recipients(conn)) == 2


@pytest.mark.parametrize(
    "error",
    [
        psycopg.errors.InsufficientPrivilege("permission denied for table bounces"),
        psycopg.errors.UndefinedTable('relation "mtabounce.bounces" does not exist'),
        psycopg.errors.DiskFull("no space left on device"),
        ConnectionResetError("gone"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_trouble_that_is_not_of_the_input_leaves_it_waiting(conn, connecting, judges, error):
    await appended(conn, dsn(1))
    worker = Worker(connecting, judges, Failing(error), asyncio.Event(), pause=0.1)
    await run_until_recorded(worker, conn)

    assert await states(conn) == [("done", "bounce", "")]


async def test_worker_outlives_a_bug_of_its_own(conn, connecting, judges, caplog):
    await appended(conn, dsn(1))
    tries = iter([RuntimeError("a bug"), None])

    async def connecting_at_last():
        if error := next(tries):
            raise error
        return await connecting()

    worker = Worker(connecting_at_last, judges, RECORDER, asyncio.Event(), pause=0.1)
    await run_until_recorded(worker, conn)

    assert await states(conn) == [("done", "bounce", "")]
    assert "RuntimeError: a bug" in caplog.text


async def test_process_that_dies_takes_nothing_with_it(conn, connecting, judges):
    await appended(conn, *(dsn(number) for number in range(50)))
    await judges.start()
    working = asyncio.create_task(worked(connecting, judges, batch=5))
    await asyncio.sleep(0.05)

    judges._process.kill()
    await working

    assert {state for state, _, _ in await states(conn)} == {"done"}
    assert len(await recipients(conn)) == 50


async def test_inputs_larger_than_a_batch_may_be_come_one_by_one(conn):
    await appended(conn, b"x" * 600, b"y" * 600, b"z" * 600)

    async with conn.transaction():
        assert len(await inputs.claim(conn, 10, octets=1_000)) == 2
        assert len(await inputs.claim(conn, 10, octets=1)) == 1


async def test_worker_that_loses_its_connection_gives_its_inputs_back(conn, connecting, judges):
    await appended(conn, dsn(1))
    own = await connecting()
    async with own.transaction():
        assert len(await inputs.claim(own, 10)) == 1
        await conn.execute("SELECT pg_terminate_backend(%s)", [own.info.backend_pid])
        with pytest.raises(psycopg.OperationalError):
            await own.execute("SELECT 1")
    await own.close()

    await worked(connecting, judges)

    assert await states(conn) == [("done", "bounce", "")]


async def test_worker_wakes_when_inputs_arrive(conn, connecting, judges):
    wake = asyncio.Event()
    worker = Worker(connecting, judges, RECORDER, wake, pause=60)
    running = asyncio.create_task(worker.run())
    await asyncio.sleep(0.3)

    await appended(conn, dsn(1))
    wake.set()
    for _ in range(1500):
        if found := await recipients(conn):
            break
        await asyncio.sleep(0.02)

    worker.stop()
    await running
    assert len(found) == 1


async def test_worker_gives_way_to_senders_but_not_for_ever(conn, connecting, judges, monkeypatch):
    monkeypatch.setattr(module, "GIVE_WAY", 2)
    asked = []
    await appended(conn, dsn(1))

    await worked(connecting, judges, is_busy=lambda: asked.append(1) or True)

    assert len(await recipients(conn)) == 1
    assert len(asked) >= 2
