"""Eight ways in which a destination fails, and what must become of them."""

import smtplib
from collections.abc import Iterator
from dataclasses import dataclass

from tests.live.fake_mx import Answer, Then

CAMPAIGN = "spring-sale"
RETURN_DOMAIN = "bounces.example.org"

# One domain each: after a 421 or a stall Postfix holds back all mail for that destination.
ANSWERS = {
    "unknown.example": Answer(
        "550 5.1.1 <{to}>: Recipient address rejected: User unknown in virtual mailbox table"
    ),
    "quota.example": Answer("552 5.2.2 <{to}>: Mailbox full, quota exceeded"),
    "full.example": Answer("452 4.2.2 <{to}>: The recipient's inbox is out of storage space"),
    "blocking.example": Answer(
        "554 5.7.1 Service unavailable; Client host [127.0.0.1] blocked using zen.spamhaus.org"
    ),
    "filtering.example": Answer(
        "550 5.7.1 Message rejected as spam by Content Filtering.", after_data=True
    ),
    "closing.example": Answer("421 4.3.2 Service shutting down", Then.CLOSE),
    "resetting.example": Answer(then=Then.RESET),
    "stalling.example": Answer(then=Then.STALL),
}
JUDGED = {  # type, reason, fault and status of the bounces from each domain
    "unknown.example": ("hard", "user_unknown", "recipient", "5.1.1"),
    "quota.example": ("soft", "mailbox_full", "recipient", "5.2.2"),
    "full.example": ("soft", "mailbox_full", "recipient", "4.2.2"),
    "blocking.example": ("soft", "ip_blocked", "sender", "5.7.1"),
    "filtering.example": ("soft", "spam_content", "content", "5.7.1"),
    "closing.example": ("soft", "system_error", "destination", "4.3.2"),
    "resetting.example": ("soft", "connection_failed", "destination", "4.4.2"),
    "stalling.example": ("soft", "connection_failed", "destination", "4.4.2"),
}
JUDGED_OF_EXIM = JUDGED | {  # which only says that it gave up, where no server gave an answer
    "resetting.example": ("soft", "expired", "destination", "5.0.0"),
    "stalling.example": ("soft", "expired", "destination", "5.0.0"),
}


@dataclass(frozen=True)
class Sent:
    """One mail that was sent."""

    number: int
    to: str

    @property
    def domain(self) -> str:
        return self.to.rpartition("@")[2]

    @property
    def reverse_path(self) -> str:
        return f"b+{self.to.replace('@', '=')}@{RETURN_DOMAIN}"

    @property
    def message_id(self) -> str:
        return f"mail.{self.number}@example.org"

    @property
    def content(self) -> str:
        return (
            f"From: News <news@example.org>\r\nTo: {self.to}\r\nSubject: News {self.number}\r\n"
            f"Message-ID: <{self.message_id}>\r\nX-Campaign-Id: {CAMPAIGN}\r\n\r\nHello\r\n"
        )


def mails(count: int) -> Iterator[Sent]:
    """Make *count* mails, to each of the domains in turn."""
    domains = list(ANSWERS)
    for number in range(count):
        yield Sent(number, f"user{number}@{domains[number % len(domains)]}")


def send(address: tuple[str, int], sent: list[Sent]) -> None:
    """Hand *sent* to the mail server at *address*."""
    with smtplib.SMTP(*address) as client:
        for mail in sent:
            client.sendmail(mail.reverse_path, [mail.to], mail.content)
