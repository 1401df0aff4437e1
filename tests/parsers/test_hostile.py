"""No bytes stop, stall or fool the parsers."""

import os
import random
import time
from base64 import encodebytes
from quopri import encodestring

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtabounce.mime import DEPTH_LIMIT, PART_LIMIT, STRUCTURE_LIMIT, Message
from mtabounce.model import Outcome, Reading
from mtabounce.parsers import read
from mtabounce.parsers._mail import RECIPIENT_LIMIT
from tests.parsers.test_dialects import SAMPLES, sample
from tests.parsers.test_dsn import DSN

SEEDS = [DSN, *(sample(*entry) for entry in SAMPLES)]
EVIL = [
    b"\x00",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\r",
    b"\n\n",
    b"--80F8B2E6934.1795404455/mail.example.net",
    b"=?utf-8?b?////?=",
    b"=?x-none?q?a?=",
    b"(" * 1200,
    b'"' * 300,
    b"a@b@c",
    b"Content-Transfer-Encoding: base64\n",
    b"Content-Type: message/rfc822\n\n",
    b"\x1b$B",
    "дд@пример.рф".encode(),
]


def checked(content: bytes) -> Reading:
    """Read *content* in less than 2 s, and see that the database can hold what was read."""
    start = time.process_time()
    reading = read(content)
    assert time.process_time() - start < 2
    assert len(reading.reports) <= RECIPIENT_LIMIT
    for report in reading.reports:
        for name in report.__slots__:
            value = getattr(report, name)
            if isinstance(value, str):
                assert "\0" not in value
                assert len(value.encode()) <= 64 * 1024
    return reading


@settings(max_examples=300)
@given(st.binary(max_size=2000))
def test_any_bytes_are_read(content):
    checked(content)


@settings(max_examples=300)
@given(st.sampled_from(SEEDS), st.data())
def test_damaged_mails_are_read(seed, data):
    start = data.draw(st.integers(0, len(seed)))
    end = data.draw(st.integers(start, len(seed)))
    checked(seed[:start] + data.draw(st.sampled_from(EVIL)) + seed[end:])


# Every seventh prefix; all of them take a minute.
STEP = int(os.environ.get("MTABOUNCE_TEST_PREFIX_STEP", "7"))


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed[5:30].decode(errors="replace"))
def test_prefix_names_nobody_but_the_recipients(seed):
    people = {report.final_recipient for report in read(seed).reports}

    named = {
        report.final_recipient
        for end in range(0, len(seed), STEP)
        for report in checked(seed[:end]).reports
        if report.outcome is Outcome.BOUNCE
    }

    assert named <= people


def test_flipped_bytes_make_no_new_failures():
    changes = random.Random(1)  # noqa: S311  no secret
    text = b"THIS IS A WARNING ONLY. <gone@example.org>: mailbox full"
    delayed = DSN.replace(b"Action: failed", b"Action: delayed").replace(b"5.1.1", b"4.2.2")
    delayed = (
        delayed[: delayed.index(b"<gone@")]
        + text
        + delayed[
            delayed.index(
                b"\n\n--80F8B2E6934.1795404455/mail.example.net\nContent-Type: message/del"
            ) :
        ]
    )
    outcomes = []

    for _ in range(1000):
        damaged = bytearray(delayed)
        damaged[changes.randrange(len(damaged))] ^= 1 << changes.randrange(8)
        outcomes.append(checked(bytes(damaged)).outcome)

    assert outcomes.count(Outcome.BOUNCE) == 0


def nested(depth: int) -> bytes:
    lines = [b"From: MAILER-DAEMON@x.test"]
    for level in range(depth):
        lines += [b"Content-Type: multipart/mixed; boundary=b%d" % level, b"", b"--b%d" % level]
    return b"\n".join([*lines, b"", b"text"])


BOMBS = {
    "multiparts in multiparts": nested(5000),
    "mails in mails": b"From: MAILER-DAEMON@x.test\n" + b"Content-Type: message/rfc822\n\n" * 5000,
    "parts": b"From: MAILER-DAEMON@x.test\nContent-Type: multipart/mixed; boundary=b\n"
    + b"\n--b\n\nx" * 100_000,
    "headers": b"From: MAILER-DAEMON@x.test\n" + b"X-A: b\n" * 100_000,
    "one header": b"From: MAILER-DAEMON@x.test\nSubject: " + b"=?utf-8?q?a?= " * 32_000 + b"\n\n",
    "recipients": DSN.replace(
        b"Final-Recipient: rfc822; full@example.org",
        b"".join(
            b"Final-Recipient: rfc822; u%d@example.org\nAction: failed\nStatus: 5.1.1\n\n" % n
            for n in range(20_000)
        )
        + b"Final-Recipient: rfc822; full@example.org",
    ),
    "blank lines": b"From: MAILER-DAEMON@x.test\nSubject: Undeliverable\n\n" + b"\n" * 300_000,
    "one line": b"From: MAILER-DAEMON@x.test\nSubject: Undeliverable\n\n" + b"<a@b.c>: " * 100_000,
    "angles": b"From: MAILER-DAEMON@x.test\nSubject: x\nContent-Type: text/html\n\n"
    + b"<a <style <!" * 30_000,
    "spaces": b"From: MAILER-DAEMON@x.test\nSubject: failed\n\nThis is the mail system at host"
    + b" " * 300_000,
    "headers in the text": b"From: MAILER-DAEMON@x.test\nSubject: failed\n\n"
    + b"Received: a\n b\n" * 30_000,
    "fields": b"From: MAILER-DAEMON@x.test\nSubject: failed\n\nFinal-Recipient: a@b.test\n"
    + b"Action: x\n" * 30_000,
    "quoted-printable": b"From: <>\nContent-Transfer-Encoding: quoted-printable\n\n"
    + b"=\n" * 150_000,
    "great": b"From: MAILER-DAEMON@x.test\nSubject: failed\n\n" + b"not delivered " * 700_000,
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_bomb_is_read_within_a_second(bomb):
    start = time.process_time()

    checked(bomb)

    assert time.process_time() - start < 1


def test_walk_stops_at_its_limits():
    assert len(Message(BOMBS["parts"]).parts) <= PART_LIMIT
    assert len(Message(nested(DEPTH_LIMIT * 2)).parts) == 1


def on_many(recipients: int, explanation: bytes = b"550 5.1.1 unknown") -> bytes:
    """Return a DSN on many recipients, with a paragraph on each, as Postfix writes it."""
    people = [b"u%d@example.org" % number for number in range(recipients)]
    prose = b"".join(b"<%s>: host x said: %s\n\n" % (who, explanation) for who in people)
    fields = b"".join(
        b"Final-Recipient: rfc822; %s\nAction: failed\nStatus: 5.1.1\n"
        b"Diagnostic-Code: smtp; %s\n\n" % (who, explanation)
        for who in people
    )
    start, end = DSN.index(b"<gone@"), DSN.index(b"\n--80F8", DSN.index(b"<gone@"))
    mail = DSN[:start] + prose + DSN[end:]
    start = mail.index(b"Final-Recipient")
    return mail[:start] + fields + mail[mail.index(b"\n--80F8", start) :]


def test_all_of_many_recipients_are_read():
    mail = on_many(RECIPIENT_LIMIT, b"550 5.1.1 unknown; " + b"see our pages " * 20)

    reading = read(mail)

    assert len(mail) > 2 * STRUCTURE_LIMIT
    assert len(reading.reports) == RECIPIENT_LIMIT
    assert reading.note == ""
    assert reading.reports[-1].original_message_id == "news.1@example.net"


@pytest.mark.parametrize(
    ("mail", "said"),
    [
        (on_many(RECIPIENT_LIMIT + 1), "more than 1000 recipients"),
        (on_many(900, b"550 5.1.1 unknown; " + b"see our pages " * 200), "longer than 2 MiB"),
        (
            b"From: MAILER-DAEMON@x.test\nSubject: failure notice\n\n"
            b"Hi. This is the qmail-send program at x.test.\n\n"
            + b"".join(
                b"<u%d@example.org>:\n%s\n\n" % (n, b"no such user " * 9) for n in range(900)
            ),
            "more than 64 KiB of text",
        ),
        (nested(DEPTH_LIMIT * 2), "deeper than 100"),
        (BOMBS["parts"], "more than 1000 parts"),
    ],
    ids=["recipients", "length", "text", "depth", "parts"],
)
def test_mail_that_is_not_read_to_its_end_says_so(mail, said):
    assert said in read(mail).note


@pytest.mark.parametrize(
    "fields",
    [
        b"Action: delivered\nStatus: 2.1.5\nDiagnostic-Code: smtp; 250 ok, not 550 5.1.1",
        b"Action: relayed\nStatus: 2.0.0\nDiagnostic-Code: smtp; 550 5.1.1 unknown user",
        b"Action: expanded\nStatus: 2.1.5",
        b"Status: 2.6.0\nDiagnostic-Code: smtp; 250 2.6.0 <5.1.1@example.org> Queued",
    ],
    ids=["delivered", "relayed", "expanded", "no action"],
)
def test_success_is_no_bounce_whatever_stands_beside_it(fields):
    start, end = (
        DSN.index(b"Action: failed"),
        DSN.index(b"\n\n--80F8", DSN.index(b"Action: failed")),
    )
    inner = DSN.replace(b"\nMIME-Version", b"\nStatus: 5.1.1\nMIME-Version").replace(
        b"80F8", b"90A9"
    )
    mail = (DSN[:start] + fields + DSN[end:]).replace(b"\nStatus: 5.7.1\n", inner)

    reading = checked(mail)

    assert reading.outcome is Outcome.DELIVERED
    assert [report.final_recipient for report in reading.reports] == ["gone@example.org"]


def test_missing_boundaries_and_terminators_lose_no_report():
    without_parameter = DSN.replace(
        b'\tboundary="80F8B2E6934.1795404455/mail.example.net"\n', b"\tx=y\n"
    )
    without_end = DSN[: DSN.rindex(b"\n--80F8")]

    assert [len(read(mail).reports) for mail in (without_parameter, without_end)] == [2, 2]


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_encoded_parts_are_read(encoding):
    status = DSN[DSN.index(b"Reporting-MTA") : DSN.index(b"\n--80F8", DSN.index(b"Reporting-MTA"))]
    encoded = {
        "base64": encodebytes(status),
        "quoted-printable": encodestring(status),
    }[encoding]
    mail = DSN.replace(
        b"message/delivery-status\n\n" + status,
        f"message/delivery-status\nContent-Transfer-Encoding: {encoding}\n\n".encode() + encoded,
    )

    assert read(mail).reports == read(DSN).reports
