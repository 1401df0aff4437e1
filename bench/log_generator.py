"""
Writes a log of Postfix or Exim as a busy relay would, and what is true of it.

    python bench/log_generator.py postfix 2000000 mail.log truth.jsonl

About 3 of 100 messages bounce, 8 are deferred and tried again; of those a few expire. Some 900
messages are under way at a time. The truth is a line of JSON for each recipient that failed.
"""

import heapq
import json
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

START = datetime(2026, 11, 2, 6, tzinfo=UTC)
REPLIES = (
    (
        "5.1.1",
        "550 5.1.1 <{to}>: Recipient address rejected: User unknown in virtual mailbox table",
    ),
    ("5.2.1", "550 5.2.1 The email account that you tried to reach is disabled. q7-20020a05"),
    (
        "5.7.1",
        "554 5.7.1 Service unavailable; Client host [192.0.2.25] blocked using zen.spamhaus.org",
    ),
    ("5.0.0", "550 no mailbox here by that name"),
)
LATER = (
    ("4.2.2", "452 4.2.2 <{to}>: mailbox full (user over quota)"),
    ("4.7.1", "450 4.7.1 <{to}>: Recipient address rejected: Greylisted for 5 minutes"),
    ("4.7.0", "421 4.7.0 [TSS04] Messages from 192.0.2.25 temporarily deferred"),
)


class Message:
    """One message and what becomes of it."""

    def __init__(self, number: int, rng: random.Random) -> None:
        self.number = number
        self.to = f"user{number % 90_000}@d{rng.randrange(400)}.example"
        self.sender = f"b+{number:x}@list{rng.randrange(3)}.sender.example"
        self.message_id = f"{number:x}.{rng.randrange(1 << 40):x}@sender.example"
        fate = rng.random()
        self.fate = "bounced" if fate < 0.03 else "deferred" if fate < 0.11 else "sent"
        self.expires = self.fate == "deferred" and rng.random() < 0.03
        self.tries = rng.randrange(1, 4) if self.fate == "deferred" else 0
        self.status, self.reply = rng.choice(REPLIES if self.fate == "bounced" else LATER)
        self.reply = self.reply.format(to=self.to)

    @property
    def truth(self) -> dict[str, str] | None:
        """What a reader must find; None where the message arrived."""
        if self.fate == "bounced" or self.expires:
            return {
                "queue_id": "",
                "recipient": self.to,
                "sender": self.sender,
                "message_id": self.message_id,
                "status": self.status,
            }
        return None


class Postfix:
    """The lines of Postfix, with the long queue ids of enable_long_queue_ids."""

    def queue_id(self, number: int) -> str:
        return f"4{number:010X}"

    def arrival(self, one: Message, rng: random.Random) -> list[str]:
        queue_id = self.queue_id(one.number)
        return [
            f"postfix/smtpd[{rng.randrange(900, 999)}]: connect from app1.sender.example[192.0.2.7]",
            f"postfix/smtpd[{rng.randrange(900, 999)}]: {queue_id}: client=app1.sender.example[192.0.2.7]",
            f"postfix/cleanup[{rng.randrange(500, 599)}]: {queue_id}: message-id=<{one.message_id}>",
            self.active(one),
            f"postfix/smtpd[{rng.randrange(900, 999)}]: disconnect from app1.sender.example[192.0.2.7]"
            " ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5",
        ]

    def active(self, one: Message) -> str:
        return f"postfix/qmgr[77]: {self.queue_id(one.number)}: from=<{one.sender}>, size=34343, nrcpt=1 (queue active)"

    def retry(self, one: Message) -> list[str]:
        return [self.active(one)]

    def attempt(self, one: Message, state: str, rng: random.Random) -> str:
        domain = one.to.partition("@")[2]
        relay = f"mx1.{domain}[198.51.100.{one.number % 250}]"
        status, said = one.status, f"host {relay} said: {one.reply} (in reply to RCPT TO command)"
        if state == "sent":
            status, said = "2.0.0", "250 2.0.0 Ok: queued as 4X" + f"{one.number:09x}"
        return (
            f"postfix/smtp[{rng.randrange(1000, 1200)}]: {self.queue_id(one.number)}: to=<{one.to}>,"
            f" relay={relay}:25, delay=0.61, delays=0.02/0.01/0.3/0.28, dsn={status}, status={state} ({said})"
        )

    def end(self, one: Message, how: str) -> list[str]:
        queue_id = self.queue_id(one.number)
        gone = f"postfix/qmgr[77]: {queue_id}: removed"
        if how == "expired":
            return [
                f"postfix/qmgr[77]: {queue_id}: from=<{one.sender}>, status=expired, returned to sender",
                gone,
            ]
        return [gone]

    def stamped(self, at: datetime, text: str) -> str:
        return f"{at:%b} {at.day:2d} {at:%H:%M:%S} mx1 {text}\n"


class Exim:
    """The lines of Exim 4.96 with its default log selector."""

    def queue_id(self, number: int) -> str:
        digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
        found = ""
        for _ in range(6):
            number, digit = divmod(number, 62)
            found = digits[digit] + found
        return f"1x{found[:4]}-0{found[4:]}0Aa-0{found[5]}"

    def arrival(self, one: Message, rng: random.Random) -> list[str]:
        return [
            f"{self.queue_id(one.number)} <= {one.sender} H=app1.sender.example [192.0.2.7]"
            f" P=esmtps X=TLS1.3:ECDHE_X25519__RSA:256 CV=no S=34343 id={one.message_id}"
        ]

    def retry(self, one: Message) -> list[str]:
        return []

    def attempt(self, one: Message, state: str, rng: random.Random) -> str:
        domain = one.to.partition("@")[2]
        host = f"H=mx1.{domain} [198.51.100.{one.number % 250}]"
        error = f"SMTP error from remote mail server after RCPT TO:<{one.to}>: {one.reply}"
        head = f"{self.queue_id(one.number)} {{}} {one.to} R=dnslookup T=remote_smtp"
        if state == "sent":
            return (
                head.format("=>")
                + f' {host} X=TLS1.3:ECDHE:256 CV=yes C="250 2.0.0 Ok: queued as 4X{one.number:x}"'
            )
        if state == "deferred":
            return head.format("==") + f" defer (-44) {host}: {error}"
        return head.format("**") + f" {host}: {error}"

    def end(self, one: Message, how: str) -> list[str]:
        queue_id = self.queue_id(one.number)
        gone = f"{queue_id} Completed"
        if how == "expired":
            return [f"{queue_id} ** {one.to}: retry timeout exceeded", gone]
        return [gone]

    def stamped(self, at: datetime, text: str) -> str:
        return f"{at:%Y-%m-%d %H:%M:%S} {text}\n"


MTAS = {"postfix": Postfix, "exim": Exim}


def events(mta: Postfix | Exim, rng: random.Random) -> Iterator[tuple[str, Message | None]]:
    """Yield lines in the order of time, for ever; with the last of a message, the message."""
    waiting: list[tuple[float, int, Message | None, list[str]]] = []
    order = 0
    at, number = 0.0, 0

    def later(seconds: float, lines: list[str], one: Message | None = None) -> None:
        nonlocal order
        order += 1
        heapq.heappush(waiting, (at + seconds, order, one, lines))

    while True:
        number += 1
        one = Message(number, rng)
        later(0, mta.arrival(one, rng))
        wait = rng.uniform(0.2, 2.0)
        for _ in range(one.tries):
            later(wait, [mta.attempt(one, "deferred", rng)])
            wait += rng.uniform(200, 900)
            if not one.expires or _ + 1 < one.tries:
                later(wait, mta.retry(one))
        if one.expires:
            later(wait + 1, mta.end(one, "expired"), one)
        else:
            state = "bounced" if one.fate == "bounced" else "sent"
            later(wait + 1, [mta.attempt(one, state, rng), *mta.end(one, state)], one)
        at += rng.expovariate(900)
        while waiting and waiting[0][0] <= at:
            due, _, done, lines = heapq.heappop(waiting)
            moment = START + timedelta(seconds=due)
            for line in lines[:-1]:
                yield mta.stamped(moment, line), None
            if lines:
                yield mta.stamped(moment, lines[-1]), done


def write(name: str, lines: int, log: Path, truth: Path, seed: int = 1) -> None:
    """Write *lines* lines to *log*; what failed in them to *truth*."""
    rng = random.Random(seed)  # noqa: S311 (no secret)
    mta = MTAS[name]()
    with log.open("w") as out, truth.open("w") as told:
        for count, (line, done) in enumerate(events(mta, rng), 1):
            out.write(line)
            if done is not None and done.truth:
                told.write(json.dumps(done.truth | {"queue_id": mta.queue_id(done.number)}) + "\n")
            if count >= lines:
                return


if __name__ == "__main__":
    write(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]))
