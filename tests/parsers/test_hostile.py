"""No bytes stop, stall or fool the parsers."""

import random
import time
from base64 import encodebytes
from quopri import encodestring

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtabounce.mime import DEPTH_LIMIT, PART_LIMIT, Message
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
    """Read *content*, and see that the database can hold what was read."""
    reading = read(content)
    assert len(reading.reports) <= RECIPIENT_LIMIT
    for report in reading.reports:
        for name in report.__slots__:
            value = getattr(report, name)
            if isinstance(value, str):
                assert "\0" not in value
                assert len(value.encode()) <= 64 * 1024
    return reading


@settings(max_examples=300, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=2000))
def test_any_bytes_are_read(content):
    checked(content)


@settings(max_examples=300, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SEEDS), st.data())
def test_damaged_mails_are_read(seed, data):
    start = data.draw(st.integers(0, len(seed)))
    end = data.draw(st.integers(start, len(seed)))
    checked(seed[:start] + data.draw(st.sampled_from(EVIL)) + seed[end:])


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed[5:30].decode(errors="replace"))
def test_every_seventh_prefix_is_read(seed):
    for end in range(0, len(seed), 7):
        checked(seed[:end])


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
