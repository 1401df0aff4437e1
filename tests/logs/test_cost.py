"""What a line costs: no more than its length, whatever a stranger wrote into it."""

import time
from datetime import UTC

import pytest

from mtabounce.logs import LogReader

from .lines import LATEST

ID = "1xVKdA-0005NO-24"
EXIM = f"2026-11-23 03:22:12 {ID}"
POSTFIX = "Nov 23 03:12:17 mail postfix"
SENT = "relay=mx[192.0.2.1]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (ok)"
WORDS = [
    "a@@@@@@ ",
    "@",
    '"',
    ' <"',
    "<",
    ">, ",
    " (",
    "[",
    "=",
    " R=a T=b H=",
    "\\\\",
    ": ",
    "a/",
    " DT=1s",
    " QT=1s DT=",
]
LINES = [
    EXIM + ' <= "x for {}end"@evil.example H=(x) [192.0.2.1] P=esmtp S=5 for ann@example.org\n',
    EXIM + ' <= a@evil.example H=(x) [192.0.2.1] P=esmtp S=5 T="x for {}end" for ann@x.org\n',
    EXIM + " <= {} for {}\n",
    EXIM + " => {} R=a T=b\n",
    EXIM + " ** {} R=a T=b H=mx [192.0.2.1]: {}\n",
    EXIM + ' ** a@b.example <"{}"@c.example> {}: {}\n',
    EXIM + " == ann@example.org R=a T=b defer (-44) H={} [192.0.2.1]: {}\n",
    POSTFIX + "/smtp[9]: 4A00112233: to=<{}>, " + SENT + "\n",
    POSTFIX + "/smtp[9]: 4A00112233: to=<a@b>, orig_to=<{}>, " + SENT + "\n",
    POSTFIX + "/qmgr[9]: 4A00112233: from=<{}>, size=1\n",
    POSTFIX + "/cleanup[9]: 4A00112233: message-id=<{}>\n",
    POSTFIX + "/smtp[9]: 4A00112233: to=<a@b>, relay=mx[192.0.2.1]:25, delay=1, dsn=5.0.0,"
    " status=bounced (host mx[192.0.2.1] said: {})\n",
    "Nov 23 03:12:17 mail {}/smtp[9]: 4A00112233: to=<a@b>, " + SENT + "\n",
    "Nov 23 03:12:17 mail exim[1]: {} {}\n",
    "{}\n",
]


def cost(line: bytes) -> float:
    """Return the seconds of processor time that reading *line* takes, the best of three."""
    took = []
    for _ in range(3):
        reader = LogReader(latest=LATEST, zone=UTC)
        begun = time.process_time()
        reader.read(line)
        took.append(time.process_time() - begun)
    return min(took)


@pytest.mark.parametrize("line", LINES)
def test_long_line_costs_as_much_as_it_is_long(line):
    for word in WORDS:
        short, long = (
            line.replace("{}", word * (length // len(word))).encode() for length in (8000, 32000)
        )
        at_most = 10 * max(cost(short), 0.001)  # linear: 4 times; quadratic: 16 times

        assert cost(long) < at_most, word


def recipients(count: int, form: str) -> bytes:
    """Return the lines of one message to *count* recipients, with {} in *form* for each."""
    return "".join(form.replace("{}", str(number)) for number in range(count)).encode()


@pytest.mark.parametrize(
    "form",
    [
        POSTFIX + "/smtp[9]: 4A00112233: to=<u{}@b>, relay=none, delay=1, dsn=4.0.0,"
        " status=deferred (no)\n",
        EXIM + " => u{}@example.org R=a T=b H=mx [192.0.2.1]\n",
    ],
)
def test_message_costs_as_much_as_it_has_recipients(form):
    def begun(count: int) -> bytes:
        names = " ".join(f"u{number}@example.org" for number in range(count))
        return f"{EXIM} <= a@b H=x [192.0.2.1] P=esmtp for {names}\n".encode()

    few, many = (begun(count) + recipients(count, form) for count in (1000, 4000))

    assert cost(many) < 10 * cost(few)
