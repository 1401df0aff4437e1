"""What a mail says does not hang on how it is written down: line ends, order, folds, encodings."""

import re
from base64 import encodebytes
from collections.abc import Callable
from functools import cache
from pathlib import Path
from quopri import encodestring

import pytest

from mtabounce.classify import load
from mtabounce.mime import Message, unify_line_ends
from mtabounce.parsers import HeaderNames, read
from mtabounce.parsers._mail import Mail
from tests.parsers.test_dialects import IDS, SAMPLES, sample
from tests.parsers.test_dsn import DSN

FIXTURES = Path(__file__).parents[2] / "fixtures" / "dsn"
# One of each kind that a server writes is enough: its others differ by the remote's reply.
REAL = [next(iter(sorted(folder.glob("*/message.eml")))) for folder in sorted(FIXTURES.iterdir())]
MAILS = {
    "dsn": DSN,
    **{path.parent.parent.name: path.read_bytes() for path in REAL},
    **{name: sample(*entry) for name, entry in zip(IDS, SAMPLES, strict=True)},
}
LABELLED = re.compile(rb"(?m)^Content-Transfer-Encoding:[^\n]*\n")

Change = Callable[[bytes], bytes]


@cache
def classifier():
    return load()


def told(content: bytes) -> list[tuple[str, ...]]:
    """Return what is said of whom, apart from how long texts were wrapped."""
    reading = read(content)
    verdicts = [classifier().classify(report) for report in reading.reports]
    return [
        (report.final_recipient, str(report.action), str(verdict.type), verdict.reason)
        for report, verdict in zip(reading.reports, verdicts, strict=True)
    ]


def parted(content: bytes) -> tuple[list[bytes], bytes]:
    """Return the header fields of a mail, folds and all, and its body."""
    head, _, body = unify_line_ends(content).partition(b"\n\n")
    return re.findall(rb"(?m)^\S.*\n?(?:[ \t].*\n?)*", head + b"\n"), body


def with_crlf(content: bytes) -> bytes:
    return unify_line_ends(content).replace(b"\n", b"\r\n")


def with_cr(content: bytes) -> bytes:
    return unify_line_ends(content).replace(b"\n", b"\r")


def with_headers_upside_down(content: bytes) -> bytes:
    fields, body = parted(content)
    return b"".join(reversed(fields)) + b"\n" + body


def with_headers_folded(content: bytes) -> bytes:
    fields, body = parted(content)
    folded = [re.sub(rb"(:|;|\S{8,})[ \t]+(?=\S)", rb"\1\n\t", field) for field in fields]
    return b"".join(folded) + b"\n" + body


def with_headers_in_capitals(content: bytes) -> bytes:
    fields, body = parted(content)
    named = [field.partition(b":") for field in fields]
    return b"".join(name.upper() + colon + rest for name, colon, rest in named) + b"\n" + body


def encoded(content: bytes, encoding: str, encode: Callable[[bytes], bytes]) -> bytes:
    """Return a mail of one part, or the parts of a mail, in another transfer encoding."""
    content = unify_line_ends(content)
    for part in Message(content).parts:
        if LABELLED.search(part.head) or part.type.startswith("message/rfc822"):
            continue
        field = b"Content-Transfer-Encoding: " + encoding.encode()
        head = part.head.rstrip(b"\n") + b"\n" + field if part.head else field
        start = content.index(part.head + b"\n\n" + part.body if part.head else part.body)
        end = start + len(part.head) + 2 * bool(part.head) + len(part.body)
        content = content[:start] + head + b"\n\n" + encode(part.body) + content[end:]
    return content


def in_base64(content: bytes) -> bytes:
    return encoded(content, "base64", encodebytes)


def in_quoted_printable(content: bytes) -> bytes:
    return encoded(content, "quoted-printable", encodestring)


def forwarded(content: bytes) -> bytes:
    return (
        b"From: Ann <ann@example.com>\nTo: bounces@example.net\nSubject: Fwd: a bounce\n"
        b"Content-Type: multipart/mixed; boundary=outer\n\n--outer\n\nLook at this.\n\n--outer\n"
        b"Content-Type: message/rfc822\n\n" + unify_line_ends(content) + b"\n--outer--\n"
    )


CHANGES = [
    with_crlf,
    with_cr,
    with_headers_upside_down,
    with_headers_folded,
    with_headers_in_capitals,
    in_base64,
    in_quoted_printable,
]


@pytest.mark.parametrize("content", MAILS.values(), ids=MAILS)
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_verdict_stays_the_same(change: Change, content: bytes) -> None:
    assert told(content)
    assert told(change(content)) == told(content)


# Of what is forwarded, only what a mail system signed is read.
SIGNED = {
    name: content for name, content in MAILS.items() if Mail(content, HeaderNames()).is_daemons
}


@pytest.mark.parametrize("content", SIGNED.values(), ids=SIGNED)
def test_verdict_on_a_forwarded_notice_is_the_one_on_the_notice(content: bytes) -> None:
    assert told(forwarded(content)) == told(content)


def test_letter_with_a_letter_in_it_is_nothing() -> None:
    letter = (
        b"From: ann@example.org\nSubject: Undeliverable goods\n\n550 <bob@example.org> unknown\n"
    )

    assert told(forwarded(letter)) == []
