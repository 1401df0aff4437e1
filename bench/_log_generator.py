"""
Writes a log of Postfix or Exim as a busy relay would, and what is true of it.

    python bench/_log_generator.py postfix 2000000 mail.log truth.jsonl

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
        """Return the queue id of message *number*."""
        return f"4{number:010X}"

    def arrival(self, one: Message, rng: random.Random) -> list[str]:
        """Return the lines of *one* as it comes in."""
        queue_id, client = self.queue_id(one.number), "app1.sender.example[192.0.2.7]"
        smtpd = f"postfix/smtpd[{rng.randrange(900, 999)}]:"
        return [
            f"{smtpd} connect from {client}",
            f"{smtpd} {queue_id}: client={client}",
            f"postfix/cleanup[{500 + one.number % 99}]: {queue_id}: message-id=<{one.message_id}>",
            self.active(one),
            f"{smtpd} disconnect from {client} ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5",
        ]

    def active(self, one: Message) -> str:
        """Return the line of the queue manager."""
        head = f"postfix/qmgr[77]: {self.queue_id(one.number)}:"
        return f"{head} from=<{one.sender}>, size=34343, nrcpt=1 (queue active)"

    def retry(self, one: Message) -> list[str]:
        """Return the lines before another attempt."""
        return [self.active(one)]

    def attempt(self, one: Message, state: str, rng: random.Random) -> str:
        """Return the line of an attempt that ends as *state* says."""
        domain = one.to.partition("@")[2]
        relay = f"mx1.{domain}[198.51.100.{one.number % 250}]"
        status, said = one.status, f"host {relay} said: {one.reply} (in reply to RCPT TO command)"
        if state == "sent":
            status, said = "2.0.0", "250 2.0.0 Ok: queued as 4X" + f"{one.number:09x}"
        head = (
            f"postfix/smtp[{rng.randrange(1000, 1200)}]: {self.queue_id(one.number)}: to=<{one.to}>"
        )
        times = "delay=0.61, delays=0.02/0.01/0.3/0.28"
        return f"{head}, relay={relay}:25, {times}, dsn={status}, status={state} ({said})"

    def end(self, one: Message, how: str) -> list[str]:
        """Return the last lines of *one*."""
        queue_id = self.queue_id(one.number)
        gone = f"postfix/qmgr[77]: {queue_id}: removed"
        if how == "expired":
            over = f"from=<{one.sender}>, status=expired, returned to sender"
            return [f"postfix/qmgr[77]: {queue_id}: {over}", gone]
        return [gone]

    def stamped(self, at: datetime, text: str) -> str:
        """Return *text* as it stands in the log."""
        return f"{at:%b} {at.day:2d} {at:%H:%M:%S} mx1 {text}\n"


class Exim:
    """The lines of Exim 4.96 with its default log selector."""

    def queue_id(self, number: int) -> str:
        """Return the queue id of message *number*."""
        digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
        found = ""
        for _ in range(6):
            number, digit = divmod(number, 62)
            found = digits[digit] + found
        return f"1x{found[:4]}-0{found[4:]}0Aa-0{found[5]}"

    def arrival(self, one: Message, rng: random.Random) -> list[str]:
        """Return the lines of *one* as it comes in."""
        head = f"{self.queue_id(one.number)} <= {one.sender} H=app1.sender.example [192.0.2.7]"
        tls = "X=TLS1.3:ECDHE_X25519__RSA:256 CV=no"
        return [f"{head} P=esmtps {tls} S=34343 id={one.message_id}"]

    def retry(self, one: Message) -> list[str]:
        """Return the lines before another attempt."""
        return []

    def attempt(self, one: Message, state: str, rng: random.Random) -> str:
        """Return the line of an attempt that ends as *state* says."""
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
        """Return the last lines of *one*."""
        queue_id = self.queue_id(one.number)
        gone = f"{queue_id} Completed"
        if how == "expired":
            return [f"{queue_id} ** {one.to}: retry timeout exceeded", gone]
        return [gone]

    def stamped(self, at: datetime, text: str) -> str:
        """Return *text* as it stands in the log."""
        return f"{at:%Y-%m-%d %H:%M:%S} {text}\n"


MTAS = {"postfix": Postfix, "exim": Exim}


class Traffic:
    """The lines of a log in the order of time."""

    def __init__(self, mta: Postfix | Exim, rng: random.Random) -> None:
        self._mta = mta
        self._rng = rng
        self._waiting: list[tuple[float, int, Message, list[str], bool]] = []
        self._at = 0.0  # seconds since START
        self._number = 0

    def lines(self) -> Iterator[tuple[str, Message | None]]:
        """Yield lines for ever; with the last of a message, the message."""
        while True:
            self._number += 1
            self._send(Message(self._number, self._rng))
            self._at += self._rng.expovariate(900)
            while self._waiting[0][0] <= self._at:
                due, _, one, lines, last = heapq.heappop(self._waiting)
                stamped = [
                    self._mta.stamped(START + timedelta(seconds=due), line) for line in lines
                ]
                yield from ((line, None) for line in stamped[:-1])
                yield stamped[-1], one if last else None

    def _send(self, one: Message) -> None:
        mta, rng = self._mta, self._rng
        self._later(0, one, mta.arrival(one, rng))
        wait = rng.uniform(0.2, 2.0)
        for attempt in range(one.tries):
            self._later(wait, one, [mta.attempt(one, "deferred", rng)])
            wait += rng.uniform(200, 900)
            if (again := mta.retry(one)) and not (one.expires and attempt + 1 == one.tries):
                self._later(wait, one, again)
        if one.expires:
            self._later(wait + 1, one, mta.end(one, "expired"), last=True)
        else:
            state = "bounced" if one.fate == "bounced" else "sent"
            lines = [mta.attempt(one, state, rng), *mta.end(one, state)]
            self._later(wait + 1, one, lines, last=True)

    def _later(self, wait: float, one: Message, lines: list[str], *, last: bool = False) -> None:
        order = len(self._waiting) + self._number * 1000
        heapq.heappush(self._waiting, (self._at + wait, order, one, lines, last))


def write(name: str, lines: int, log: Path, truth: Path, seed: int = 1) -> None:
    """Write *lines* lines to *log*; what failed in them to *truth*."""
    rng = random.Random(seed)  # noqa: S311 (no secret)
    mta = MTAS[name]()
    with log.open("w") as out, truth.open("w") as told:
        for count, (line, done) in enumerate(Traffic(mta, rng).lines(), 1):
            out.write(line)
            if done is not None and done.truth:
                told.write(json.dumps(done.truth | {"queue_id": mta.queue_id(done.number)}) + "\n")
            if count >= lines:
                return


if __name__ == "__main__":
    write(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]))
