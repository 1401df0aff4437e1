"""Delivery status notifications, whole and damaged."""

import pytest

from mtabounce.model import Action, EnhancedStatus, Outcome
from mtabounce.parsers import HeaderNames, read

DSN = b"""\
Received: by mail.example.net (Postfix)
\tid 976172E6939; Mon, 23 Nov 2026 03:27:35 +0000 (UTC)
From: Mail Delivery System <MAILER-DAEMON@mail.example.net>
Subject: Undelivered Mail Returned to Sender
To: list@example.net
Date: Mon, 23 Nov 2026 03:27:35 +0000
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="80F8B2E6934.1795404455/mail.example.net"

This is a MIME-encapsulated message.

--80F8B2E6934.1795404455/mail.example.net
Content-Type: text/plain; charset=utf-8

<gone@example.org>: host mx.example.org[192.0.2.1] said: 550 5.1.1
    <gone@example.org>: no such user (in reply to RCPT TO command)

<full@example.org>: host mx.example.org[192.0.2.1] said: 452 4.2.2 full
    (in reply to end of DATA command)

--80F8B2E6934.1795404455/mail.example.net
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example.net
X-Postfix-Queue-ID: 80F8B2E6934
Arrival-Date: Mon, 23 Nov 2026 03:27:35 +0000 (UTC)

Final-Recipient: rfc822; gone@example.org
Original-Recipient: rfc822;Gone@example.org
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.example.org
Diagnostic-Code: smtp; 550 5.1.1 <gone@example.org>: no such
    user

Final-Recipient: rfc822; full@example.org
Action: delayed
Status: 4.2.2
Remote-MTA: dns; mx.example.org
Diagnostic-Code: smtp; 452 4.2.2 full

--80F8B2E6934.1795404455/mail.example.net
Content-Type: message/rfc822

From: News <news@example.net>
To: <gone@example.org>
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=
Date: Mon, 23 Nov 2026 03:00:00 +0000
Message-ID: <news.1@example.net>
x-listmonk-CAMPAIGN: c0ffee
X-Listmonk-Subscriber: 5ca1ab1e
List-Id: <news.example.net>
Feedback-ID: 42:news

Status: 5.7.1

--80F8B2E6934.1795404455/mail.example.net--
"""


def test_every_field_of_a_report_is_read():
    reading = read(DSN)
    gone, full = reading.reports

    assert (reading.outcome, reading.parser, reading.relayed) == (Outcome.BOUNCE, "dsn", False)
    assert (gone.final_recipient, gone.original_recipient) == (
        "gone@example.org",
        "Gone@example.org",
    )
    assert (gone.action, gone.status) == (Action.FAILED, EnhancedStatus(5, 1, 1))
    assert gone.diagnostic_code == "550 5.1.1 <gone@example.org>: no such user"
    assert (gone.command, gone.remote_mta) == ("RCPT TO", "mx.example.org")
    assert (gone.reporting_mta, gone.queue_id) == ("mail.example.net", "80F8B2E6934")
    assert gone.original_message_id == "news.1@example.net"
    assert (gone.original_from, gone.original_subject) == ("News <news@example.net>", "Grüße")
    assert (gone.campaign, gone.subscriber) == ("c0ffee", "5ca1ab1e")
    assert (gone.list_id, gone.feedback_id) == ("<news.example.net>", "42:news")
    assert gone.occurred_at is not None
    assert (full.outcome, full.command) == (Outcome.DELAYED, "DATA")


def test_names_of_campaign_and_subscriber_headers_can_be_set():
    names = HeaderNames(campaign=("List-ID",), subscriber=("feedback-id",))

    report = read(DSN, names).reports[0]

    assert (report.campaign, report.subscriber) == ("<news.example.net>", "42:news")


@pytest.mark.parametrize("end", [b"\r\n", b"\r", b"\r\r\n"], ids=["CRLF", "CR", "CRCRLF"])
def test_line_ends_change_nothing(end):
    assert read(DSN.replace(b"\n", end)) == read(DSN)


def test_envelope_line_of_a_mailbox_changes_nothing():
    assert read(b"From MAILER-DAEMON Mon Nov 23 03:27:35 2026\n" + DSN) == read(DSN)


def test_copy_that_took_another_way_has_the_same_fingerprint():
    other = b"Return-Path: <>\nDelivered-To: x\nReceived: from a by b;\n\tnow\nX-Spam: no\n" + DSN

    assert read(other).fingerprint == read(DSN).fingerprint
    assert read(other).relayed
    assert read(DSN.replace(b"gone", b"lost")).fingerprint != read(DSN).fingerprint


@pytest.mark.parametrize(
    ("field", "action"),
    [
        (b"Action: failed (permanently)", Action.FAILED),
        (b"Action: error", Action.FAILED),
        (b"action:DELAYED", Action.DELAYED),
        (b"Action : relayed (to non-DSN-aware mailer)", Action.RELAYED),
        (b"X-Action: none", Action.FAILED),
    ],
)
def test_actions_are_read_as_they_are_written(field, action):
    assert read(DSN.replace(b"Action: failed", field)).reports[0].action is action


@pytest.mark.parametrize(
    "field",
    [
        b"rfc822; gone@example.org",
        b"gone@example.org",
        b"RFC822;<gone@example.org>",
        b"rfc/822 ; gone@example.org",
        b"utf-8; gone@example.org (mailbox)",
        b'rfc822; "G. One" <gone@example.org>',
    ],
)
def test_recipients_are_read_as_they_are_written(field):
    mail = DSN.replace(b"Final-Recipient: rfc822; gone@example.org", b"Final-Recipient: " + field)

    assert read(mail).reports[0].final_recipient == "gone@example.org"


def test_no_prefix_names_anybody_but_the_recipients():
    people = {
        report.final_recipient for end in range(len(DSN)) for report in read(DSN[:end]).reports
    }

    assert people == {"gone@example.org", "full@example.org"}


def test_failure_of_a_recipient_beats_his_delay():
    block = b"""Final-Recipient: rfc822; gone@example.org
Action: %s
Status: %s
Diagnostic-Code: smtp; %s

"""
    delayed = block % (b"delayed", b"4.4.1", b"451 4.4.1 later")
    failed = block % (b"failed", b"5.1.1", b"550 5.1.1 no such user")
    start, end = (
        DSN.index(b"Final-Recipient"),
        DSN.index(b"\n--80F8", DSN.index(b"Final-Recipient")),
    )

    for blocks in (delayed + failed, failed + delayed):
        (report,) = read(DSN[:start] + blocks + DSN[end:]).reports

        assert (report.action, str(report.status)) == (Action.FAILED, "5.1.1")


@pytest.mark.parametrize(
    ("final", "original", "read_as"),
    [
        (b"ann+news@example.org", b"ann+2Bnews@example.org", "ann+news@example.org"),
        (b"other@example.org", b"ann+2Bnews@example.org", "ann+2Bnews@example.org"),
        (b"other@example.org", b"gone+40example.org@example.org", "gone+40example.org@example.org"),
    ],
    ids=["of the final one", "of nobody known", "no xtext"],
)
def test_xtext_that_was_left_in_an_original_recipient_is_undone(final, original, read_as):
    mail = DSN.replace(b"rfc822; gone@example.org", b"rfc822; " + final).replace(
        b"rfc822;Gone@example.org", b"rfc822;" + original
    )

    assert read(mail).reports[0].original_recipient == read_as


@pytest.mark.parametrize("recipient", [b"rfc822;", b"X400; /C=US/A=X/P=Y/S=Gone/", b""])
def test_recipient_that_cannot_be_read_is_the_only_one_of_the_returned_mail(recipient):
    start, end = DSN.index(b"Final-Recipient"), DSN.index(b"Action: failed")
    other = DSN.index(b"Final-Recipient", end)
    mail = DSN[:start] + b"Final-Recipient: " + recipient + b"\n" + DSN[end:other]
    mail += DSN[DSN.index(b"\n--80F8", other) :]

    (report,) = read(mail).reports

    assert (report.final_recipient, str(report.status)) == ("gone@example.org", "5.1.1")
    assert report.diagnostic_code.startswith("550 5.1.1")


SHARED = DSN.replace(
    b"""\
<full@example.org>: host""",
    b"""\
<gone@example.org> (expanded from
    <eve@example.net>): host mx.example.org[192.0.2.1] said: 550 5.1.1
    <gone@example.org> (expanded from <liar@example.net>): no

<full@example.org> (expanded from <list@example.net>): host""",
).replace(
    b"""\
Final-Recipient: rfc822; full@example.org
""",
    b"""\
Final-Recipient: rfc822; gone@example.org
Original-Recipient: rfc822; dave@up.example
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 no

Final-Recipient: rfc822; full@example.org
Original-Recipient: rfc822; list@example.net
""",
)


def test_two_who_forward_to_one_address_are_both_told_of():
    told = [(one.final_recipient, one.original_recipient) for one in read(SHARED).reports]

    assert told == [
        ("gone@example.org", "Gone@example.org"),
        ("gone@example.org", "dave@up.example"),
        ("full@example.org", "list@example.net"),
    ]


def test_address_that_the_server_itself_forwarded_from_is_read():
    first = SHARED.replace(
        b"<gone@example.org>: host mx",
        b"<gone@example.org> (expanded from <amy@example.net>): host mx",
    )

    assert [one.expanded_from for one in read(first).reports] == [
        "amy@example.net",
        "eve@example.net",
        "",  # the same as the original one
    ]


def test_words_of_a_remote_host_are_not_the_servers_own():
    quoting = DSN.replace(
        b"no such user (in", b"<gone@example.org> (expanded from <x@y.example>): (in"
    )

    assert [one.expanded_from for one in read(quoting).reports] == ["", ""]
