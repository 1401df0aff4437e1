"""A running service is not stopped by what costs too much: it fails alone, in its own process."""

import os
import signal
import smtplib
from contextlib import suppress
from pathlib import Path

from tests.live.processes import descendants, wait_until
from tests.live.service import Service

LIMITS = """
max_size = "24MiB"
[worker]
processes = 1
deadline = "20s"  # what is not stalled must be done by then, however busy the machine is
memory = "64MiB"
"""
GREAT = b"Subject: Undelivered\r\n\r\n" + b"<ann@example.org>: 550 5.1.1 no such user\r\n" * 400_000
BOUNCE = b"""\
From: MAILER-DAEMON@mx.example.org\r
Content-Type: multipart/report; report-type=delivery-status; boundary=b\r
\r
--b\r
Content-Type: message/delivery-status\r
\r
Reporting-MTA: dns; mx.example.org\r
\r
Final-Recipient: rfc822; %s@example.org\r
Action: failed\r
Status: 5.1.1\r
Diagnostic-Code: smtp; 550 5.1.1 User unknown\r
\r
--b--\r
"""


def send(service, *contents):
    with smtplib.SMTP(*service.address, timeout=60) as client:
        for content in contents:
            client.sendmail("", ["b@bounces.example.org"], content)


def judges(service):
    """Return the processes that judge for *service*, as the system lists them."""
    found = []
    for pid in descendants(service.pid):
        with suppress(OSError):
            if b"judge_process" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def wait_for_bounces(service, *names):
    wanted = sorted(f"{name}@example.org" for name in names)

    def are_there():
        rows = service.query("SELECT recipient FROM mtabounce.bounces ORDER BY recipient")
        return [row.recipient for row in rows] == wanted

    wait_until(are_there, f"bounces of {wanted}", timeout=120, details=service.log)


def test_input_that_takes_too_much_memory_fails_alone(folder):
    with Service(folder / "mtabounce", more=LIMITS) as service:
        send(service, BOUNCE % b"ann", GREAT, BOUNCE % b"bob")

        wait_for_bounces(service, "ann", "bob")

        (failed,) = service.query("SELECT error FROM mtabounce.inputs WHERE state = 'failed'")
        assert failed.error == "too much memory"
        assert "Traceback" not in service.log()


def test_judging_that_stalls_is_ended_at_its_deadline_and_done_again(folder):
    with Service(folder / "mtabounce", more=LIMITS) as service:
        send(service, BOUNCE % b"ann")
        wait_for_bounces(service, "ann")
        (stalled,) = judges(service)
        os.kill(stalled, signal.SIGSTOP)

        send(service, BOUNCE % b"bob")
        wait_for_bounces(service, "ann", "bob")

        assert "judged once more, alone: too slow: not judged within 20 s" in service.log()
        assert stalled not in judges(service)
