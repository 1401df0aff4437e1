"""Lines are parsed in blocks, and what is kept elsewhere is asked for many blocks at once."""

import random
from datetime import UTC, datetime

import pytest

from mtabounce.logs import Delivery, Joined, Key, LogReader, Scanned, State, parts_of

LATEST = datetime(2026, 11, 3, tzinfo=UTC)


class Elsewhere:
    """Keeps who waits, as the database does, and answers as it would."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str, str, str], Delivery] = {}
        self.questions = 0

    def answer(self, asked: set[Key]) -> list[Delivery]:
        self.questions += 1
        return [
            one
            for one in self._waiting.values()
            if (one.host.encode(), one.queue_id.encode()) in {parts_of(key)[::2] for key in asked}
        ]

    def keep(self, joined: Joined) -> None:
        for name in joined.settled:
            self._waiting.pop(name, None)
        self._waiting |= joined.waiting

    @property
    def state(self) -> list[Delivery]:
        return sorted(self._waiting.values())


def a_log(rng: random.Random, messages: int) -> list[bytes]:
    """Return lines of messages that are deferred and told of again; their ids are used again."""
    found = []
    for number in range(messages):
        queue_id = f"{number % (messages // 3):010X}"
        to = [f"u{number}-{each}@d{number % 7}.example" for each in range(rng.randrange(1, 3))]
        lines = [
            f"postfix/cleanup[5]: {queue_id}: message-id=<{number}@s.example>",
            f"postfix/qmgr[7]: {queue_id}: from=<b{number}@s.example>, size=3, nrcpt=1",
        ]
        for _ in range(rng.randrange(4)):
            lines += [tried(queue_id, rng.choice(to), "deferred", "4.2.2")]
            if rng.random() < 0.5:
                lines += [lines[1]]
        for one in to:
            ends = rng.choice([("sent", "2.0.0"), ("bounced", "5.1.1")])
            lines += [tried(queue_id, one, *ends)]
        if rng.random() < 0.2:
            lines += [f"postfix/qmgr[7]: {queue_id}: from=<b{number}@s.example>, status=expired, x"]
        lines += [f"postfix/qmgr[7]: {queue_id}: removed"]
        times = sorted(number + rng.random() * (messages // 3 - 1) for _ in lines)
        found += zip(times, lines, strict=True)
    found.sort(key=lambda pair: pair[0])
    return [f"Nov  2 06:00:00 mx1 {line}\n".encode() for _, line in found]


def tried(queue_id: str, to: str, state: str, status: str) -> str:
    relay = "mx.d.example[198.51.100.1]:25, delay=0.6, delays=0.1/0/0.2/0.3"
    said = f"dsn={status}, status={state} (host mx.d.example[198.51.100.1] said: 450 no)"
    return f"postfix/smtp[9]: {queue_id}: to=<{to}>, relay={relay}, {said}"


def read(lines: list[bytes], *, ahead: int, batch: int) -> tuple[list[Delivery], Joined, Elsewhere]:
    """Read *lines*, *ahead* blocks of three lines at once, and keep all after each *batch*."""
    reader, elsewhere = LogReader(latest=LATEST, zone=UTC), Elsewhere()
    failed: list[Delivery] = []
    total = reader.join.take()
    blocks = [b"".join(lines[at : at + 3]) for at in range(0, len(lines), 3)]
    for start in range(0, len(blocks), batch):
        mine = blocks[start : start + batch]
        for at in range(0, len(mine), ahead):
            scanned = Scanned()
            for block in mine[at : at + ahead]:
                reader.scan(block, scanned)
            while scanned.found:
                if asked := reader.join_on(scanned):
                    reader.join.adopt(elsewhere.answer(asked), asked)
        joined = reader.join.take()
        elsewhere.keep(joined)
        reader.join.underway.let_sleep(awake=1)
        failed += [one for one in joined.deliveries if one.state is not State.DEFERRED]
        total.counts += joined.counts
        total.attempts += joined.attempts
        total.arrived |= joined.arrived
    return failed, total, elsewhere


@pytest.mark.parametrize("seed", range(10))
def test_what_is_asked_ahead_changes_no_row(seed):
    lines = a_log(random.Random(seed), 200)  # noqa: S311 (no secret)
    failed, total, elsewhere = read(lines, ahead=1, batch=8)
    failed_too, total_too, elsewhere_too = read(lines, ahead=8, batch=8)
    assert failed_too == failed
    assert elsewhere_too.state == elsewhere.state
    assert (total_too.counts, total_too.attempts) == (total.counts, total.attempts)
    assert total_too.arrived == total.arrived
    assert elsewhere_too.questions < elsewhere.questions / 2


@pytest.mark.parametrize("seed", range(10))
def test_when_it_is_committed_changes_no_row(seed):
    """What is asked for again after a commit is what was in memory before."""
    lines = a_log(random.Random(seed), 200)  # noqa: S311 (no secret)
    failed, total, _ = read(lines, ahead=1, batch=10**6)
    failed_too, total_too, _ = read(lines, ahead=4, batch=4)
    assert failed_too == failed
    assert total_too.counts == total.counts
