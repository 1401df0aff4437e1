"""Verdicts: what is hard, what is soft, what is neither."""

import random

import pytest

from mtabounce.classify import load
from mtabounce.model import Action, BounceType, EnhancedStatus, Outcome, Report
from mtabounce.pipeline.judge import Judge

CLASSIFIER = load()
JUDGE = Judge(CLASSIFIER)

DELIVERED = b"""From: MAILER-DAEMON@mail.example.net
To: news@example.com
Subject: Successful Mail Delivery Report
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

Your message was delivered.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example.net

Final-Recipient: rfc822; ann@example.org
Action: relayed
Status: 2.1.5
Diagnostic-Code: smtp; 250 2.1.5 ok

--b
Content-Type: message/rfc822

From: news@example.com
To: ann@example.org
Subject: Status: 5.1.1

Status: 5.1.1
550 5.1.1 no such user
--b--
"""


def classify(diagnostic_code="", status=None, outcome=Outcome.BOUNCE, **others):
    return CLASSIFIER.classify(
        Report(
            outcome=outcome,
            final_recipient="ann@example.org",
            diagnostic_code=diagnostic_code,
            status=EnhancedStatus.find(status) if status else None,
            **others,
        )
    )


def test_failed_with_a_temporary_status_is_soft_and_keeps_its_reason():
    verdict = classify("452 4.2.2 full", status="4.2.2", action=Action.FAILED)

    assert (verdict.type, verdict.reason) == ("soft", "mailbox_full")


def test_unknown_user_that_the_server_is_not_sure_of_is_soft():
    verdict = classify("450 4.1.1 <ann@example.org>: no such user", action=Action.FAILED)

    assert (verdict.type, verdict.reason) == ("soft", "user_unknown")


def test_queue_that_gave_up_without_a_word_is_expired():
    assert classify(status="4.0.0", action=Action.FAILED).reason == "expired"


@pytest.mark.parametrize(
    ("status", "said", "reason"),
    [
        ("5.1.1", "550 this looks like spam", "spam_content"),  # Sendmail's guess for any 550
        ("5.1.1", "550 ann@example.org", "user_unknown"),
        ("5.0.0", "550 5.1.1 gone", "user_unknown"),  # Exim says 5.0.0 of everything
        ("5.0.0", "552 5.2.2 gone", "mailbox_full"),
        ("4.4.7", "451 4.4.1 gone", "connection_failed"),
        ("4.4.7", "", "expired"),
    ],
)
def test_status_field_is_the_last_to_be_believed(status, said, reason):
    assert classify(said, status=status).reason == reason


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (Outcome.DELIVERED, "delivered"),
        (Outcome.AUTO_REPLY, "auto_reply"),
        (Outcome.CHALLENGE, "challenge"),
    ],
)
def test_what_is_no_failure_has_no_type_whatever_it_says(outcome, reason):
    verdict = classify("550 5.1.1 no such user", status="5.1.1", outcome=outcome)

    assert (verdict.type, verdict.reason, verdict.fault) == (None, reason, None)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("452 4.2.2 mailbox full", "mailbox_full"),
        ("550 5.1.1 user unknown", "user_unknown"),
        ("connect to mx.example.net[192.0.2.1]:25: Connection timed out", "connection_failed"),
        ("450 4.7.1 greylisted, try again in 300 seconds", "rate_limited"),
        ("", "delayed"),
        ("the queue is waiting", "delayed"),
        ("message expired in the queue", "delayed"),
    ],
)
def test_delay_is_soft_at_most_and_has_the_reason_that_it_gives(said, reason):
    verdict = classify(said, outcome=Outcome.DELAYED)

    assert (verdict.type, verdict.reason) == (BounceType.SOFT, reason)


def test_delay_is_of_no_type_where_the_configuration_gives_its_reason_none():
    own = load(types={"mailbox_full": "none"})
    delay = Report(
        outcome=Outcome.DELAYED,
        final_recipient="ann@example.org",
        diagnostic_code="452 4.2.2 mailbox full",
    )

    assert own.classify(delay).type is None


def test_complaint_is_a_complaint():
    verdict = classify(outcome=Outcome.COMPLAINT, feedback_type="abuse")

    assert (verdict.type, verdict.reason) == ("complaint", "complaint")


def test_delivered_report_stays_so_with_a_failure_in_the_mail_that_it_returns():
    judged = JUDGE.judge(DELIVERED)

    assert [verdict.reason for verdict in judged.verdicts] == ["delivered"]
    assert [verdict.type for verdict in judged.verdicts] == [None]


def test_local_parts_are_not_read_as_words():
    verdict = classify("550 5.7.1 <mailbox-full@example.org>: denied")

    assert verdict.reason == "policy_rejected"


def test_blocked_sender_is_never_hard():
    for rule in CLASSIFIER.rules:
        reason = CLASSIFIER.reasons[rule.reason]
        if reason.fault in ("sender", "content"):
            assert reason.type == "soft", reason.name


def test_matched_words_are_shown_as_they_were_written():
    assert classify("550 MailBox Is FULL, sorry").matched.lower() == "mailbox is full"
    assert "FULL" in classify("550 MailBox Is FULL, sorry").matched


def hardened(text: bytes, flips: int, seed: int) -> bool:
    """Whether random byte flips outside the codes and the diagnosis make a mail hard."""
    noise = random.Random(seed)  # noqa: S311 (no secrets here)
    changed = bytearray(text)
    spared = range(text.index(b"Final-Recipient"), text.index(b"message/rfc822"))
    for _ in range(flips):
        place = noise.randrange(len(changed))
        if place not in spared:
            changed[place] = noise.randrange(256)
    return any(verdict.type == "hard" for verdict in JUDGE.judge(bytes(changed)).verdicts)


def test_byte_flips_elsewhere_do_not_make_a_soft_bounce_hard():
    soft = DELIVERED.replace(b"relayed", b"failed").replace(b"2.1.5", b"5.2.2")
    soft = soft.replace(b"250 ", b"552 ").replace(b"550 5.1.1 no such user", b"Dear Ann, the news:")

    hard = sum(hardened(soft.replace(b"5.1.1", b"see page 5"), 8, seed) for seed in range(1000))

    assert hard == 0


def test_any_text_gets_a_verdict():
    noise = random.Random(7)  # noqa: S311 (no secrets here)
    for length in (0, 1, 10, 100, 10_000, 100_000):
        text = "".join(chr(noise.randrange(1, 0x11000)) for _ in range(length))
        assert CLASSIFIER.classify_reply(text + "\udcff").reason
