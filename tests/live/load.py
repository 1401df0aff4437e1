"""Clients that hand over numbered bounces and try again, as a mail server does."""

import smtplib
import threading
import time
from collections.abc import Callable
from itertools import count
from typing import Self

from tests.live.processes import LOOPBACK

TO = "b@bounces.example.org"
_TIMEOUT = 5.0  # seconds for an answer
_PAUSE = 0.05  # seconds before the next try

_DSN = """\
From: MAILER-DAEMON@mail.example.org
To: b@bounces.example.org
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=part

--part
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example.org

Final-Recipient: rfc822; {recipient}
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 no such user

--part
Content-Type: message/rfc822

Message-ID: <mail.{number}@example.org>

--part--
"""


def bounce_of(recipient: str, number: int) -> str:
    """Return a bounce of mail *number* to *recipient*, as another server might write it."""
    return _DSN.format(recipient=recipient, number=number).replace("\n", "\r\n")


class Load:
    """
    Some clients, each with one mail at a time, within ``with``.

    *to* gives the address for the mail of a number, each time that it is tried.
    What is in ``taken`` got its 250, whatever happened then; what is in ``refused`` a 5xx, after
    which a mail server would give up.
    """

    def __init__(self, port: int, *, clients: int, to: Callable[[int], str] = lambda _: TO) -> None:
        self.taken: list[int] = []
        self.refused: list[int] = []
        self._port = port
        self._to = to
        self._numbers = count()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while not self._stop.is_set():
            number = next(self._numbers)
            if number % 20 == 0:
                self._try(number, hang_up=True)
            while not self._try(number) and not self._stop.is_set():
                time.sleep(_PAUSE)

    def _try(self, number: int, *, hang_up: bool = False) -> bool:
        """Hand over mail *number*; return whether its client need not try again."""
        mail = bounce_of(f"user{number}@crash.example", number)
        try:
            with smtplib.SMTP(LOOPBACK, self._port, timeout=_TIMEOUT) as client:
                if hang_up:
                    _send_and_hang_up(client, self._to(number), mail)
                    return False
                client.sendmail("", [self._to(number)], mail)
        except (OSError, smtplib.SMTPException) as error:
            return self._is_refused(number, error)
        self.taken.append(number)
        return True

    def _is_refused(self, number: int, error: Exception) -> bool:
        code = error.smtp_code if isinstance(error, smtplib.SMTPResponseException) else 0
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            ((code, _),) = error.recipients.values()
        if code >= 500:
            self.refused.append(number)
        return code >= 500


def _send_and_hang_up(client: smtplib.SMTP, to: str, mail: str) -> None:
    """Do not wait for the answer to the mail, as a client that crashes."""
    client.ehlo()
    client.mail("")
    client.rcpt(to)
    client.docmd("DATA")
    client.send(f"{mail}.\r\n")
    client.close()
