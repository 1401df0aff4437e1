"""
Messages at once, in any order of their lines: the join says what happened to each of them alone.

What must come out is told from the messages themselves, one after the other, not from the lines.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from mtabounce.logs import LogReader, Scanned

from .test_ahead import Elsewhere

LATEST = datetime(2026, 11, 23, 12, tzinfo=UTC)
PLACES = [("mx1", "postfix"), ("mx1", "postfix-out"), ("mx2", "postfix"), ("mx2", "10.1.2.3")]
QUEUE_IDS = ["4A0000000A", "4c8vgk2lXhzNcrX"]  # a short one and a long one, used again and again
ENVELOPES = [
    "Nov 23 03:12:17 {host} ",
    "2026-11-23T03:12:17.000001+00:00 {host} ",
    "<22>1 2026-11-23T03:12:17Z {host} ",
]
REPLY = "host mx.x.example[192.0.2.1] said: {} no {} (in reply to RCPT TO command)"


@dataclass(frozen=True)
class Attempt:
    """One try to deliver to one recipient."""

    to: str
    original: str
    state: str  # deferred, bounced or sent


@dataclass
class Message:
    """One message and all that became of it."""

    place: tuple[str, str]
    queue_id: str
    sender: str
    message_id: str
    envelope: str
    attempts: list[Attempt] = field(default_factory=list)
    expires: bool = False

    def lines(self):
        yield self.line("cleanup", f"message-id=<{self.message_id}>")
        yield self.active
        for number, one in enumerate(self.attempts):
            if number and one.state == "deferred":
                yield self.active
            yield self.line("smtp", self.attempt(number, one))
        if self.expires:
            yield self.line("qmgr", f"from=<{self.sender}>, status=expired, returned to sender")
        yield self.line("qmgr", "removed")

    @property
    def active(self):
        return self.line("qmgr", f"from=<{self.sender}>, size=9, nrcpt=1 (queue active)")

    def attempt(self, number, one):
        origin = f" orig_to=<{one.original}>," if one.original else ""
        dsn = {"deferred": "4.2.2", "bounced": "5.1.1", "sent": "2.0.0"}[one.state]
        return (
            f"to=<{one.to}>,{origin} relay=mx.x.example[192.0.2.1]:25, delay=1, delays=0/0/0/1,"
            f" dsn={dsn}, status={one.state} ({REPLY.format(dsn, number)})"
        )

    def line(self, program, text):
        head = ENVELOPES[self.envelope].format(host=self.place[0])
        if head.startswith("<"):
            return f"{head}{self.place[1]}/{program} 7 - - {self.queue_id}: {text}\n"
        return f"{head}{self.place[1]}/{program}[7]: {self.queue_id}: {text}\n"

    def truth(self):
        """Yield each failure: recipient, original one, state, last words, and how many tries."""
        waiting = {}
        for number, one in enumerate(self.attempts):
            whom = one.to, one.original
            _, tries = waiting.pop(whom, ("", 0))
            said = f"{'4.2.2' if one.state == 'deferred' else '5.1.1'} no {number}"
            if one.state == "deferred":
                waiting[whom] = said, tries + 1
            elif one.state == "bounced":
                yield (*whom, "bounced", said, tries + 1)
        if self.expires:
            for whom, (said, tries) in waiting.items():
                yield (*whom, "expired", said, tries)


people = st.tuples(
    st.sampled_from(["a@x.example", "b@x.example", '"odd, <one>"@x.example']),
    st.sampled_from(["", "amy@here.example", "bob@here.example"]),
)
attempts = st.builds(
    lambda whom, state: Attempt(*whom, state),
    people,
    st.sampled_from(["deferred", "deferred", "bounced", "sent"]),
)
messages = st.lists(
    st.builds(
        Message,
        place=st.sampled_from(PLACES),
        queue_id=st.sampled_from(QUEUE_IDS),
        sender=st.sampled_from(["", "news@here.example", "other@here.example"]),
        message_id=st.sampled_from(["1@here.example", "2@here.example"]),
        envelope=st.sampled_from(range(len(ENVELOPES))),
        attempts=st.lists(attempts, max_size=5),
        expires=st.booleans(),
    ),
    max_size=7,
)


def interleaved(found, draw):
    """Mix the lines of all messages; of two with one queue id the second begins after the first."""
    queues = {}
    for message in found:
        queues.setdefault((message.place, message.queue_id), []).extend(message.lines())
    lines = []
    while queues:
        key = draw(st.sampled_from(sorted(queues)))
        lines.append(queues[key].pop(0))
        if not queues[key]:
            del queues[key]
    return lines


def join(reader, elsewhere, block):
    scanned = reader.scan(block, Scanned())
    while scanned.found:
        if asked := reader.join_on(scanned):
            reader.join.adopt(elsewhere.answer(asked), asked)


def told(lines, draw):
    """Read *lines* in some blocks; commit after some, and begin anew after some commits."""
    reader, elsewhere, found = LogReader(latest=LATEST, zone=UTC), Elsewhere(), []
    while lines:
        size = draw(st.integers(1, len(lines)))
        block, lines = "".join(lines[:size]).encode(), lines[size:]
        join(reader, elsewhere, block)
        if draw(st.booleans()) or not lines:
            joined = reader.join.take()
            elsewhere.keep(joined)
            reader.join.underway.let_sleep(awake=draw(st.integers(0, 2)))
            found += joined.deliveries
            if draw(st.booleans()):
                state = reader.join.underway.dump()
                reader = LogReader(latest=LATEST, zone=UTC)
                reader.join.underway.load(state)
    return found, elsewhere


@settings(max_examples=150)
@given(messages, st.data())
def test_what_happens_to_a_message_is_told_whatever_comes_between(found, data):
    deliveries, elsewhere = told(interleaved(found, data.draw), data.draw)

    failures = sorted(
        (
            (one.host, one.instance, one.queue_id, one.reverse_path, one.original_message_id),
            (one.final_recipient, one.original_recipient, str(one.state)),
            (one.diagnostic_code, one.attempts, one.reports_itself),
        )
        for one in deliveries
        if one.state != "deferred"
    )
    assert failures == sorted(
        (
            (*message.place, message.queue_id, message.sender, message.message_id),
            (to, original, state),
            (said, tries, not message.sender),
        )
        for message in found
        for to, original, state, said, tries in message.truth()
    )
    assert elsewhere.state == []


def test_other_instance_with_the_same_queue_id_is_not_asked_for_who_waits():
    first, second = (
        Message(place, QUEUE_IDS[0], sender, f"{sender}.1", 0, tries, expires=True)
        for place, sender, tries in (
            (PLACES[0], "a@here.example", [Attempt("x@x.example", "", "deferred")]),
            (PLACES[1], "b@here.example", []),
        )
    )
    *begun, expired, removed = first.lines()
    reader, elsewhere = LogReader(latest=LATEST, zone=UTC), Elsewhere()
    join(reader, elsewhere, "".join(begun).encode())
    elsewhere.keep(reader.join.take())
    reader.join.underway.let_sleep(awake=0)
    state = reader.join.underway.dump()  # and it is killed
    reader = LogReader(latest=LATEST, zone=UTC)
    reader.join.underway.load(state)
    other = list(second.lines())
    join(reader, elsewhere, "".join([*other[:2], expired, removed, *other[2:]]).encode())
    joined = reader.join.take()
    elsewhere.keep(joined)

    assert [(one.instance, one.final_recipient, one.state) for one in joined.deliveries] == [
        ("postfix", "x@x.example", "expired")
    ]
    assert elsewhere.state == []
