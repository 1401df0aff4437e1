"""One failure, told by the log, by its DSN and by a copy of that in a mailbox: one bounce."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from psycopg.rows import dict_row

from mtabounce.classify import load
from mtabounce.correlate import observe
from mtabounce.logs import LogReader
from mtabounce.model import RawInput
from mtabounce.pipeline.decide import Recorder
from mtabounce.pipeline.judge import Judge
from mtabounce.pipeline.log_record import LogRecorder
from mtabounce.policy import PolicySettings

AT = datetime(2026, 11, 20, 10, tzinfo=UTC)
QUEUE_ID = "4Xbq1K0W7Lz3hYd"
LINES = f"""\
2026-11-20T09:59:58+00:00 mail postfix/cleanup[11]: {QUEUE_ID}: message-id=<1@lists.example.org>
2026-11-20T09:59:58+00:00 mail postfix/qmgr[12]: {QUEUE_ID}: from=<b@b.example.org>, size=900, nrcpt=1 (queue active)
2026-11-20T10:00:00+00:00 mail postfix/smtp[13]: {QUEUE_ID}: to=<ann@example.net>, relay=mx.example.net[192.0.2.1]:25, delay=2, delays=0.1/0/1/0.9, dsn=5.1.1, status=bounced (host mx.example.net[192.0.2.1] said: 550 5.1.1 no such user (in reply to RCPT TO command))
2026-11-20T10:00:00+00:00 mail postfix/qmgr[12]: {QUEUE_ID}: removed
"""  # noqa: E501 (as Postfix writes them)
DSN = """\
Received: by mail (Postfix) id 4Xbq1L2; Fri, 20 Nov 2026 10:00:00 +0000
From: MAILER-DAEMON@mail (Mail Delivery System)
Message-ID: <4Xbq1L2@mail>
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mail
X-Postfix-Queue-ID: {queue_id}

Final-Recipient: rfc822; ann@example.net
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.example.net
Diagnostic-Code: smtp; 550 5.1.1 no such user

--b
Content-Type: text/rfc822-headers

{message_id}Subject: News

--b--
"""
KNOWN_BY = {
    "both": {"queue_id": QUEUE_ID, "message_id": "Message-ID: <1@lists.example.org>\n"},
    "message id": {"queue_id": "other", "message_id": "Message-ID: <1@lists.example.org>\n"},
    "queue id": {"queue_id": QUEUE_ID, "message_id": ""},
}


def of_the_log(recorder):
    async def write(conn, dsn, late):
        reader = LogReader(latest=AT + timedelta(hours=1), zone=UTC)
        joined = reader.read(LINES.encode())
        await LogRecorder(load(), recorder, "mail.log", "mail").commit(conn, joined, [])

    return write


def of_a_mail(recorder, source, trace, wait):
    async def write(conn, dsn, late):
        received_at = AT + (wait if late else timedelta(seconds=2))
        raw = RawInput(source=source, content=trace + dsn, received_at=received_at)
        judged = Judge(load()).judge(raw.content)
        async with conn.transaction():
            await recorder.record(conn, observe(raw, judged))

    return write


@pytest.fixture
def sources():
    recorder = Recorder(PolicySettings())
    copied = b"Return-Path: <>\nDelivered-To: bounces\nReceived: from mail by mailbox; Fri\n"
    return {
        "log": of_the_log(recorder),
        "receiver": of_a_mail(recorder, "receiver", b"", timedelta(hours=20)),
        "pop3": of_a_mail(recorder, "pop3:bounces@mail", copied, timedelta(days=9)),
    }


async def rows(conn):
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SELECT * FROM bounces")
        return await cursor.fetchall()


@pytest.mark.parametrize("known_by", KNOWN_BY)
@pytest.mark.parametrize("late", [False, True], ids=["near", "far"])
@pytest.mark.parametrize("order", list(permutations(["log", "receiver", "pop3"])), ids="-".join)
async def test_all_orders_are_one_bounce_with_three_observations(
    conn, sources, order, late, known_by
):
    dsn = DSN.format(**KNOWN_BY[known_by]).encode()

    for _ in range(2):  # told twice is told once
        for source in order:
            await sources[source](conn, dsn, late)

    (bounce,) = await rows(conn)
    assert bounce["observations"] == 3
    assert bounce["sources"] == ["log:mail.log", "pop3:bounces@mail", "receiver"]
    assert (bounce["type"], bounce["reason"], bounce["trust"]) == ("hard", "user_unknown", "proven")
    assert (bounce["queue_id"], bounce["original_message_id"]) == (QUEUE_ID, "1@lists.example.org")
    assert bounce["first_seen_at"] == AT
