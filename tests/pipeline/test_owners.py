"""Complaints that hide who complained: found by the mail that they return, and else kept."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from psycopg.rows import dict_row

from mtabounce.classify import load
from mtabounce.logs import LogReader
from mtabounce.model import RawInput
from mtabounce.pipeline.decide import Recorder
from mtabounce.pipeline.log_record import LogRecorder
from mtabounce.pipeline.rewrite import judged_again
from mtabounce.pipeline.sent_mail import keep_up
from mtabounce.pipeline.settings import SentMailSettings
from mtabounce.policy import PolicySettings
from mtabounce.providers.request import pack
from mtabounce.store import inputs
from mtabounce.store.connection import connect_sync
from mtabounce.store.return_paths import put_keys
from mtabounce.store.rewrite import Selection
from mtabounce.verp import Keyring
from tests.working import judging, worked

POLICY = PolicySettings()
RING = Keyring("bounces.example.org", {"a": b"correct horse battery staple"})
MAIL = "1@lists.example.org"
SUBSCRIBER = "c0ffee00-1111-4222-8333-444455556666"
COMPLAINT = """\
From: feedback@isp.test
Message-ID: <c{number}@isp.test>
Content-Type: multipart/report; report-type=feedback-report; boundary=b

--b
Content-Type: message/feedback-report

Feedback-Type: abuse
Version: 1
User-Agent: test
Original-Rcpt-To: redacted@isp.test

--b
Content-Type: text/rfc822-headers

{header}
Subject: News
To: redacted@isp.test

--b--
"""
DSN = """\
From: MAILER-DAEMON@mx.example.org
Message-ID: <d{recipient}>
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org

Final-Recipient: rfc822; {recipient}
Action: {action}
Status: {status}

--b
Content-Type: text/rfc822-headers

{header}

--b--
"""


def complaint(header=f"Message-ID: <{MAIL}>", number=1):
    return COMPLAINT.format(header=header, number=number)


def relayed(recipient, header=f"Message-ID: <{MAIL}>"):
    return DSN.format(recipient=recipient, action="relayed", status="2.0.0", header=header)


def failed(recipient, header=f"Message-ID: <{MAIL}>"):
    return DSN.format(recipient=recipient, action="failed", status="4.2.2", header=header)


@pytest.fixture
def receive(connecting):
    """A function that takes mails in one by one, and has each worked on."""

    async def run(*mails, trusted=False, path="bounces@bounces.example.org"):
        async with await connecting() as conn:
            for mail in mails:
                raw = RawInput(
                    source="receiver",
                    content=(
                        f"Received: by mx (Postfix) id 1\n{mail}" if trusted else mail
                    ).encode(),
                    received_at=datetime.now(UTC),
                    forward_paths=(path,),
                    trusted=trusted,
                )
                await inputs.append(conn, [raw])
        await worked(connecting, ring=RING)

    return run


@pytest.fixture
def rows(database_url):
    with connect_sync(database_url, application_name="test") as conn:

        def read(query):
            with conn.cursor(row_factory=dict_row) as cursor:
                return cursor.execute(query).fetchall()

        yield read


@pytest.fixture
def complaints(rows):
    return lambda: [
        (row["recipient"], row["trust"])
        for row in rows("SELECT recipient, trust FROM bounces WHERE type = 'complaint' ORDER BY 1")
    ]


@pytest.fixture
def shown(rows):
    return lambda: [row["error"] for row in rows("SELECT error FROM inputs WHERE error <> ''")]


async def test_complaint_is_found_by_the_mail_that_our_own_server_delivered(
    receive, complaints, rows, shown
):
    await receive(relayed("ann@example.net"), trusted=True)
    await receive(complaint())

    assert complaints() == [("ann@example.net", "likely")]
    assert [row["cause"] for row in rows("SELECT * FROM suppressions")] == ["complaint"]
    assert shown() == []


async def test_what_anybody_could_have_sent_does_not_say_who_complained(
    receive, complaints, rows, shown
):
    header = f"Message-ID: <{MAIL}>\nX-Listmonk-Subscriber: {SUBSCRIBER}"
    await receive(failed("victim@example.net", header))
    await receive(complaint(header), trusted=True)

    assert complaints() == []
    assert rows("SELECT * FROM suppressions") == []
    assert len(shown()) == 1


async def test_message_that_two_people_got_backs_no_claim_of_either(receive, rows):
    await receive(relayed("ann@example.net"), relayed("bob@example.net"), trusted=True)
    await receive(failed("ann@example.net"))

    assert [row["trust"] for row in rows("SELECT trust FROM bounces")] == ["claimed"]


async def test_message_that_one_person_got_backs_what_is_said_of_it(receive, rows):
    await receive(relayed("ann@example.net"), trusted=True)
    await receive(failed("ann@example.net"))

    assert [row["trust"] for row in rows("SELECT trust FROM bounces")] == ["likely"]


async def test_stranger_cannot_turn_a_complaint_against_somebody_else(receive, complaints):
    await receive(relayed("ann@example.net"), trusted=True)
    await receive(failed("victim@example.net"), complaint())

    assert complaints() == [("ann@example.net", "likely")]


async def test_mail_to_two_people_names_neither(receive, complaints, rows, shown):
    await receive(relayed("ann@example.net"), relayed("bob@example.net"), trusted=True)
    await receive(complaint())

    assert complaints() == []
    assert [row["outcome"] for row in rows("SELECT * FROM inputs WHERE error <> ''")] == [
        "complaint"
    ]
    assert ["does not say who" in text for text in shown()] == [True]


async def test_hidden_name_is_nobody_of_its_own(receive, rows, shown):
    await receive(complaint())

    assert rows("SELECT * FROM recipients") == []
    assert len(shown()) == 1


async def test_subscriber_in_the_returned_headers_finds_it(receive, complaints):
    header = f"X-Listmonk-Subscriber: {SUBSCRIBER}"
    await receive(failed("ann@example.net", f"Message-ID: <0@x>\n{header}"), trusted=True)
    await receive(complaint(f"Message-ID: <other@x>\n{header}"))

    assert complaints() == [("ann@example.net", "likely")]


async def test_subscriber_that_is_easily_guessed_finds_nobody(receive, complaints):
    header = "X-Listmonk-Subscriber: 17"
    await receive(failed("ann@example.net", f"Message-ID: <0@x>\n{header}"), trusted=True)
    await receive(complaint(header))

    assert complaints() == []


async def test_signed_return_path_says_who_it_was(receive, complaints, database_url):
    with connect_sync(database_url, application_name="test") as conn:
        put_keys(conn, RING)
        query = "SELECT mtabounce.return_path('ann@example.net')"
        path = conn.execute(query).fetchone()[0]

    await receive(complaint(), path=path)

    assert complaints() == [("ann@example.net", "proven")]


async def test_evidence_that_comes_later_is_found_by_judging_again(
    receive, complaints, connecting, shown
):
    await receive(complaint(), complaint("Message-ID: <unknown@x>", number=2))
    await receive(relayed("ann@example.net"), trusted=True)
    judges = judging()

    again = judged_again(connecting, judges, RING, Selection(), Recorder(POLICY), write=True)
    found = [one async for step in again for one in step.found]
    await judges.close()

    assert [(one.recipient, one.was, one.now) for one in found] == [
        ("ann@example.net", "nothing", "complaint complaint")
    ]
    assert complaints() == [("ann@example.net", "likely")]
    assert len(shown()) == 1  # the other one still waits


SENT = """\
{at} mail postfix/cleanup[11]: {queue_id}: message-id=<{message_id}>
{at} mail postfix/qmgr[12]: {queue_id}: from=<{sender}>, size=900, nrcpt=1 (queue active)
{at} mail postfix/smtp[13]: {queue_id}: to=<{recipient}>, {orig}relay=mx.isp.test[192.0.2.1]:25, delay=2, delays=0.1/0/1/0.9, dsn=2.0.0, status=sent (250 2.0.0 Ok)
{at} mail postfix/qmgr[12]: {queue_id}: removed
"""  # noqa: E501 (as Postfix writes them)


@pytest.fixture
def send(connecting):
    """A function that tells, by a log, that a mail was sent; it is kept for *days*."""

    async def run(*recipients, days=14, at=None, sender="b@bounces.example.org", orig=""):
        settings, at = SentMailSettings(days=days), at or datetime.now(UTC)
        recorder = LogRecorder(load(), Recorder(POLICY), "x", "mail", keeps_sent=days > 0)
        reader = LogReader(latest=at, zone=UTC, tells_sent=recorder.keeps_sent)
        async with await connecting() as conn:
            await keep_up(conn, settings, datetime.now(UTC))
            for number, recipient in enumerate(recipients):
                told = {"recipient": recipient, "sender": sender, "message_id": MAIL, "orig": orig}
                lines = SENT.format(at=at.isoformat(), queue_id=f"4Xbq1K{number}W7Lz3hYd", **told)
                await recorder.commit(conn, reader.read(lines.encode()), [])

    return run


@pytest.fixture
def sent(rows):
    return lambda: [row["recipient"] for row in rows("SELECT * FROM sent_mail ORDER BY 1, 2")]


async def test_complaint_is_found_by_what_a_log_says_was_sent(receive, send, sent, complaints):
    await send("Ann@Example.net")
    await receive(complaint())

    assert sent() == ["ann@example.net"]
    assert complaints() == [("ann@example.net", "claimed")]  # who it was, and no proof of it


async def test_recipient_is_whom_it_was_mailed_to_not_where_it_was_forwarded(send, sent):
    await send("ann@forwarded.test", orig="orig_to=<ann@example.net>, ")

    assert sent() == ["ann@example.net"]


async def test_mail_that_a_log_sent_to_two_names_neither(receive, send, complaints, shown):
    await send("ann@example.net", "bob@example.net")
    await receive(complaint())

    assert complaints() == []
    assert len(shown()) == 1


async def test_who_bounced_is_not_who_complained_where_others_got_it(
    receive, send, complaints, shown
):
    await send("ann@example.net", "bob@example.net")
    await receive(failed("ann@example.net"), trusted=True)
    await receive(complaint())

    assert complaints() == []
    assert len(shown()) == 1


async def test_message_that_went_out_a_hundred_times_is_nobodys(receive, send, complaints):
    await send(*["ann@example.net"] * 100)
    await receive(complaint())

    assert complaints() == []


@pytest.mark.parametrize(
    "how",
    [{"days": 0}, {"at": datetime.now(UTC) - timedelta(days=20)}, {"sender": ""}],
    ids=["off", "too old", "a bounce"],
)
async def test_what_is_not_asked_for_is_not_kept(send, sent, how):
    await send("ann@example.net", **how)

    assert sent() == []


async def test_days_go_when_they_are_over_and_all_when_it_is_turned_off(
    send, sent, connecting, rows
):
    partitions = (
        "SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'sent_mail'::regclass"
    )
    today = datetime.now(UTC)
    await send("ann@example.net")
    await send("bob@example.net", at=today - timedelta(days=10))

    async with await connecting() as conn:
        await keep_up(conn, SentMailSettings(days=7), today)
        left, days = sent(), len(rows(partitions))
        changed = await keep_up(conn, SentMailSettings(days=7), today)
        await keep_up(conn, SentMailSettings(), today)

    assert (left, days, changed) == (["ann@example.net"], 11, 0)
    assert (sent(), rows(partitions)) == ([], [])


async def test_complaint_is_found_by_what_a_webhook_says_was_delivered(
    receive, connecting, complaints
):
    told = {"event": "delivered", "email": "ann@example.net", "message-id": f"<{MAIL}>"}
    event = pack({"content-type": "application/json"}, json.dumps(told | {"id": 1}).encode())
    raw = RawInput(
        source="webhook:brevo", content=event, received_at=datetime.now(UTC), trusted=True
    )
    async with await connecting() as conn:
        await inputs.append(conn, [raw])
    await receive(complaint())

    assert complaints() == [("ann@example.net", "likely")]
