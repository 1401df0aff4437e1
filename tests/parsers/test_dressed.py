"""The samples of the dialects as gateways pass them on: encoded, set in HTML, with a footer."""

import html
import quopri
from base64 import encodebytes

import pytest

from mtabounce.parsers import read
from tests.parsers.test_dialects import IDS, SAMPLES, sample

PLAIN = b"Content-Type: text/plain; charset=utf-8\n"
HTML = b"Content-Type: text/html; charset=utf-8\n"
ENCODED = b"Content-Transfer-Encoding: "
FOOTER = (
    "\n\n-- \nThis message was scanned for viruses and spam by Example Filter: no virus found.\n"
)
BANNER = "CAUTION: This email came from outside of the company. Do not click on links in it.\n\n"


def _set_in_html(text: str) -> bytes:
    return f"<html><body><pre>{html.escape(text)}</pre></body></html>\n".encode()


def _in_lines(text: str) -> bytes:
    shown = html.escape(text.expandtabs(4)).replace("  ", "&nbsp; ").replace("\n", "<br>\n")
    return f"<html><body>{shown}</body></html>\n".encode()


def _both(text: str) -> bytes:
    return b"\n".join(
        (b"--b", PLAIN, text.encode(), b"--b", HTML, _set_in_html(text), b"--b--", b"")
    )


DRESSES = {
    "base64": lambda text: (PLAIN + ENCODED + b"base64\n", encodebytes(text.encode())),
    "quoted-printable": lambda text: (
        PLAIN + ENCODED + b"quoted-printable\n",
        quopri.encodestring(text.encode()),
    ),
    "html": lambda text: (HTML, _set_in_html(text)),
    "html lines": lambda text: (HTML, _in_lines(text)),
    "both": lambda text: (b"Content-Type: multipart/alternative; boundary=b\n", _both(text)),
    "footer": lambda text: (PLAIN, (text + FOOTER).encode()),
    "banner": lambda text: (PLAIN, (BANNER + text).encode()),
    "set in": lambda text: (PLAIN, ("    " + text.replace("\n", "\n    ")).encode()),
    "quoted": lambda text: (PLAIN, ("> " + text.replace("\n", "\n> ")).encode()),
}


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("dress", DRESSES)
@pytest.mark.parametrize(("parser", "sender", "text", "reports"), SAMPLES, ids=IDS)
def test_notice_says_the_same_in_whatever_dress(parser, sender, text, reports, dress, line_end):
    head, _, body = sample(parser, sender, text, reports).partition(b"\n\n")
    plain = read(head + b"\n\n" + body)
    head = head.replace(PLAIN.rstrip(), b"MIME-Version: 1.0")
    fields, dressed = DRESSES[dress](body.decode())

    reading = read((head + b"\n" + fields + b"\n" + dressed).replace(b"\n", line_end))

    assert reading.outcome is plain.outcome
    assert [report.final_recipient for report in reading.reports] == [
        report.final_recipient for report in plain.reports
    ]
    for report, expected in zip(reading.reports, plain.reports, strict=True):
        assert expected.diagnostic_code in report.diagnostic_code


def test_what_is_set_below_names_of_screens_is_no_screen_name():
    notice = (
        b"From: Mail Delivery Subsystem <MAILER-DAEMON@aol.com>\nContent-Type: text/html\n\n"
        b"Your mail to the following recipients could not be delivered because they are not"
        b" accepting mail:<br>\nann<br>\nben<br>\n<br>\nReceived: from x<br>\nHello<br>\n"
    )

    recipients = [report.final_recipient for report in read(notice).reports]

    assert recipients == ["ann@aol.com", "ben@aol.com"]
