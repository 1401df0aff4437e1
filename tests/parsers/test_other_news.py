"""Complaints, answers, challenges, receipts and notices: what is no delivery report."""

import json

import pytest

from mtabounce.model import Action, Outcome
from mtabounce.parsers import read


def report(
    kind: str, *parts: tuple[str, str], subject: str = "Report", sender: str = "x@isp.test"
) -> bytes:
    lines = [
        f"From: {sender}",
        f"Subject: {subject}",
        f'Content-Type: multipart/report; report-type={kind}; boundary="b"',
    ]
    body = "".join(f"--b\nContent-Type: {name}\n\n{text}\n" for name, text in parts)
    return ("\n".join(lines) + f"\n\n{body}--b--\n").encode()


ORIGINAL = """From: News <news@example.net>
To: <gone@example.org>
Subject: Weekly news
Message-ID: <news.1@example.net>
X-Campaign: 42

Hello"""


def complaint(fields: str, original: str = ORIGINAL) -> bytes:
    parts = (
        ("text/plain", "A report."),
        ("message/feedback-report", fields),
        ("message/rfc822", original),
    )
    return report("feedback-report", *parts)


def test_complaint_names_its_recipient_and_its_kind():
    reading = read(
        complaint("Feedback-Type: abuse\nUser-Agent: x/1\nOriginal-Rcpt-To: <gone@example.org>\n")
    )
    told = reading.reports[0]

    assert (reading.outcome, reading.parser) == (Outcome.COMPLAINT, "arf")
    assert (told.final_recipient, told.feedback_type) == ("gone@example.org", "abuse")
    assert (told.original_message_id, told.campaign) == ("news.1@example.net", "42")


def test_complaint_without_a_recipient_field_takes_the_one_of_the_mail():
    assert (
        read(complaint("Feedback-Type: fraud\n")).reports[0].final_recipient == "gone@example.org"
    )


def test_complaint_of_several_has_a_report_for_each():
    fields = "Feedback-Type: abuse\n" + "".join(
        f"Original-Rcpt-To: <{name}@example.org>\n" for name in ("ann", "bob", "ann")
    )

    told = read(complaint(fields)).reports

    assert [one.final_recipient for one in told] == ["ann@example.org", "bob@example.org"]


@pytest.mark.parametrize(
    "header",
    [
        "List-Post: <mailto:gone@example.org>",
        "List-Id: Everyone <gone.example.org>",
        "Sender: x\nFrom: gone@example.org",
    ],
)
def test_complaint_about_a_mail_to_a_list_is_not_the_lists(header):
    original = ORIGINAL.replace("From: News <news@example.net>", header)

    (told,) = read(complaint("Feedback-Type: abuse\n", original)).reports

    assert (told.final_recipient, told.original_recipient) == ("", "gone@example.org")


@pytest.mark.parametrize(
    "hidden", ["redacted@isp.test", "undisclosed comcast recipient <redacted@isp.test>"]
)
def test_hidden_recipient_of_a_complaint_is_nobody(hidden):
    told = read(complaint(f"Feedback-Type: abuse\nOriginal-Rcpt-To: {hidden}\n")).reports[0]

    assert (told.final_recipient, told.original_recipient) == ("", "redacted@isp.test")
    assert told.original_message_id == "news.1@example.net"


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ("Feedback-Type: not-spam\n", Outcome.DELIVERED),
        ("Feedback-Type: auth-failure\nDelivery-Result: delivered\n", Outcome.DELIVERED),
        (
            "Feedback-Type: auth-failure\nDelivery-Result: reject\nAuth-Failure: dmarc\n",
            Outcome.BOUNCE,
        ),
    ],
)
def test_report_of_a_machine_is_no_complaint(fields, outcome):
    assert read(complaint(fields)).outcome is outcome


def test_complaint_of_outlook_is_read_from_the_mail_that_it_sends_back():
    original = f"X-HmXmrOriginalRecipient: gone@example.org\n{ORIGINAL.replace('gone@', 'list@')}"
    mail = report(
        "x", ("message/rfc822", original), subject="complaint about message from 192.0.2.1"
    )

    told = read(mail.replace(b"multipart/report", b"multipart/mixed")).reports[0]

    assert (told.outcome, told.final_recipient) == (Outcome.COMPLAINT, "gone@example.org")


@pytest.mark.parametrize(
    "head",
    [
        "Subject: Out of office: Weekly news\n",
        "Subject: Automatische Antwort: Weekly news\n",
        "Subject: =?utf-8?b?6Ieq5YuV6L+U5L+h?=\n",
        "Subject: Re: Weekly news\nAuto-Submitted: auto-replied\n",
        "Subject: Re: Weekly news\nX-Autoreply: yes\n",
        "Subject: Re: Weekly news\nPrecedence: auto_reply\n",
    ],
)
def test_answer_of_a_machine_counts_against_nobody(head):
    known = "From: Ann <ann@example.org>\nIn-Reply-To: <news.1@example.net>\n"
    mail = f"{known}{head}\nI am away. 550 5.1.1\n"

    reading = read(mail.encode())

    assert reading.outcome is Outcome.AUTO_REPLY
    assert reading.reports[0].final_recipient == "ann@example.org"
    assert reading.reports[0].original_message_id == "news.1@example.net"


def test_letter_of_a_person_is_nothing():
    head = b"From: Ann <ann@example.org>\nSubject: Re: Weekly news\n"
    mail = head + b"\nuser unknown? 550 5.1.1 a@b.test\n"

    assert (read(mail).outcome, read(mail).reports) == (Outcome.UNRECOGNIZED, ())


@pytest.mark.parametrize(
    ("head", "text"),
    [
        ("From: noreply@boxbe.com\nSubject: Re: Weekly news\n", "Confirm, and your mail arrives."),
        (
            "From: Ann <ann@example.org>\nSubject: Please confirm your message\n",
            "Click here to be added to my approved senders.",
        ),
    ],
)
def test_challenge_counts_against_nobody(head, text):
    assert read(f"{head}\n{text}\n".encode()).outcome is Outcome.CHALLENGE


def test_refusal_that_asks_for_a_confirmation_is_a_challenge():
    status = """Final-Recipient: rfc822; ann@example.org
Action: failed
Status: 5.7.1
Diagnostic-Code: smtp; 550 requires confirmation. Visit http://x.test/
"""

    assert (
        read(report("delivery-status", ("message/delivery-status", status))).outcome
        is Outcome.CHALLENGE
    )


DISPOSITION = """Final-Recipient: rfc822; ann@example.org
Original-Message-ID: <news.1@example.net>
Disposition: {}
"""


def disposition(text: str, said: str, subject: str) -> bytes:
    parts = ("text/plain", said), ("message/disposition-notification", DISPOSITION.format(text))
    return report("disposition-notification", *parts, subject=subject)


def test_rejection_by_a_filter_is_a_bounce():
    said = "Your message to <ann@example.org> was automatically rejected:\nNo news, please."
    mail = disposition(
        "automatic-action/MDN-sent-automatically; deleted", said, "Rejected: Weekly news"
    )

    told = read(mail).reports[0]

    assert (told.outcome, told.action) == (Outcome.BOUNCE, Action.FAILED)
    assert "No news, please." in told.diagnostic_code
    assert told.original_message_id == "news.1@example.net"


@pytest.mark.parametrize(
    "text",
    [
        "manual-action/MDN-sent-manually; displayed",
        "automatic-action/MDN-sent-automatically; displayed",
        "manual-action/MDN-sent-automatically; deleted",
    ],
)
def test_receipt_is_no_bounce(text):
    assert (
        read(disposition(text, "Your message was displayed.", "Read: Weekly news")).outcome
        is Outcome.DELIVERED
    )


def notice(kind: str, **details: object) -> bytes:
    mail = {"source": "news@example.net", "commonHeaders": {"messageId": "<news.1@example.net>"}}
    inner = json.dumps({"notificationType": kind, kind.lower(): details, "mail": mail})
    outer = json.dumps({"Type": "Notification", "Message": inner})
    head = "From: no-reply@sns.amazonaws.com\nSubject: AWS Notification Message\n"
    return f"{head}\n{outer}\n\n--\nbye\n".encode()


def test_notice_of_ses_that_came_by_mail_is_read():
    people = [
        {
            "emailAddress": "gone@example.org",
            "status": "5.1.1",
            "diagnosticCode": "smtp; 550 5.1.1 no such user",
        }
    ]

    bounce = read(
        notice("Bounce", bounceType="Permanent", bounceSubType="General", bouncedRecipients=people)
    ).reports[0]
    told = read(notice("Complaint", complainedRecipients=people)).reports[0]

    assert (bounce.outcome, bounce.final_recipient) == (Outcome.BOUNCE, "gone@example.org")
    assert (bounce.diagnostic_code, bounce.native_code) == (
        "550 5.1.1 no such user",
        "Permanent/General",
    )
    assert (told.outcome, told.original_message_id) == (Outcome.COMPLAINT, "news.1@example.net")


@pytest.mark.parametrize(
    "damage", ["{", '{"notificationType": 1}', '{"Message": "{}"}', "[" * 5000, '{"a":' * 5000]
)
def test_damaged_notice_is_nothing(damage):
    mail = f"From: no-reply@sns.amazonaws.com\nSubject: AWS\n\nnotificationType {damage}\n"

    assert read(mail.encode()).reports == ()


FIELDS = """Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; gone@example.org
Action: failed
Status: 5.1.1
"""
FORWARD = """From: a@b.test
Subject: Fwd: failed
Content-Type: multipart/mixed; boundary=o

--o
Content-Type: message/rfc822

"""


@pytest.mark.parametrize(
    "mail",
    [
        f"From: MAILER-DAEMON@x.test\nSubject: failed\n\nTechnical report:\n\n{FIELDS}\n",
        "From: a@b.test\nSubject: Fwd: Returned mail\n\nBegin forwarded message:\n\n"
        + "".join(f"> {line}\n" for line in FIELDS.splitlines()),
        FORWARD
        + report(
            "delivery-status", ("message/delivery-status", FIELDS), sender="MAILER-DAEMON@x.test"
        ).decode()
        + "\n--o--\n",
    ],
    ids=["in the text", "quoted", "attached"],
)
def test_status_fields_are_found_where_their_part_is_lost(mail):
    assert [told.final_recipient for told in read(mail.encode()).reports] == ["gone@example.org"]


def test_status_in_the_returned_mail_of_a_success_is_no_bounce():
    success = FIELDS.replace("failed", "relayed (to non-DSN-aware mailer)").replace(
        "5.1.1", "2.0.0"
    )
    inner = report("delivery-status", ("message/delivery-status", FIELDS)).decode()
    mail = report(
        "delivery-status", ("message/delivery-status", success), ("message/rfc822", inner)
    )

    reading = read(mail)

    assert reading.outcome is Outcome.DELIVERED
    assert [told.action for told in reading.reports] == [Action.RELAYED]


def test_notice_of_a_daemon_is_no_answer_of_a_person_though_it_says_auto_replied():
    notice = (
        "From: Mail Delivery System <Mailer-Daemon@mx.example.net>\nAuto-Submitted: auto-replied\n"
        "X-Failed-Recipients: gone@example.org\nSubject: Mail delivery failed\n\n"
        "A message that you sent could not be delivered to one or more of its recipients.\n"
        "The following address(es) failed:\n\n  gone@example.org\n    550 5.1.1 no such user\n"
    )

    reading = read(notice.encode())

    assert (reading.outcome, reading.parser) == (Outcome.BOUNCE, "exim")


PASTED = """Return-Path: <amy@example.com>
From: Amy <amy@example.com>
To: bob@example.net
Subject: Mail delivery failed: returning message to sender

Hi, I got this:

This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  gone@example.org
    host mx.example.org [192.0.2.1]
    SMTP error from remote mail server after RCPT TO:<gone@example.org>:
    550 5.1.1 no such user

What shall I do?
"""


def test_person_who_pastes_a_notice_reports_no_bounce():
    assert read(PASTED.encode()).outcome is Outcome.UNRECOGNIZED
