"""
Inputs that were kept, judged again by the parsers and rules of today.

What changes can be shown before it is changed. Bounces keep their numbers as long as any
evidence of theirs is left.
"""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

from psycopg import AsyncConnection

from mtabounce.correlate import Bounce, Observation, merge
from mtabounce.pipeline import once, owners
from mtabounce.pipeline.decide import Recorder
from mtabounce.pipeline.judging import Judging
from mtabounce.pipeline.record import (
    Change,
    delete_bounces,
    observation_row,
    record,
    storable,
    weighed,
    write_bounces,
)
from mtabounce.pipeline.return_paths import look_up
from mtabounce.pipeline.work import Work, work_on
from mtabounce.pipeline.worker import finished
from mtabounce.store import inputs
from mtabounce.store import record as store
from mtabounce.store import rewrite as before
from mtabounce.store.connection import Connect
from mtabounce.store.rewrite import JudgedInput, Said, Selection
from mtabounce.verp import Keyring

T = TypeVar("T")
Connection = AsyncConnection[Any]
NOTHING = "nothing"
BATCH = 100


@dataclass(frozen=True, slots=True)
class Difference:
    """How the judgement on one recipient of one input, or of a log, changes."""

    input_id: int | None  # None: a log said it
    recipient: str  # "": what becomes of the input, which names nobody
    was: str  # such as "hard user_unknown", or NOTHING
    now: str
    rule: str  # that decides now; "" where nothing is said
    said: Said | None = None
    observation: Observation | None = None


class Step(NamedTuple):
    """What came of one batch."""

    judged: int
    found: list[Difference]
    place: str  # behind which the next one starts


async def differences(conn: Connection, work: Sequence[Work]) -> list[Difference]:
    """Return what *work*, inputs and how they are judged now, would change; in order."""
    fresh = await _without_copies(conn, [storable(seen) for one in work for seen in one.observed()])
    readable = [one.taken.id for one in work if not isinstance(one.judged, str)]
    said = await before.said_by_inputs(conn, readable)
    was = _numbered((one.input_id or 0, one.recipient, one.key, one) for one in said)
    now = _numbered((one.input_id or 0, one.recipient, one.key, one) for one in fresh)
    pairs = [(*mark[:2], was.get(mark), now.get(mark)) for mark in sorted({*was, *now})]
    found = [_difference(*pair) for pair in pairs if _differ(pair[2], pair[3])]
    told = {one.input_id for one in found}
    return [*found, *(one for one in _turned(work) if one.input_id not in told)]


def _turned(work: Iterable[Work]) -> Iterator[Difference]:
    """Give each input that is other news than before, as one that failed and can be read now."""
    for one, judged, _ in work:
        now = None if isinstance(judged, str) else str(judged.reading.outcome)
        if now is not None and isinstance(one, JudgedInput) and one.was != now:
            yield Difference(one.id, "", one.was, now, "")


def _numbered(rows: Iterable[tuple[int, str, bytes, T]]) -> dict[tuple[int, str, int], T]:
    """Count what one input says about a recipient: a webhook may tell of several events."""
    found: dict[tuple[int, str, int], T] = {}
    seen: Counter[tuple[int, str]] = Counter()
    for number, recipient, _, one in sorted(rows, key=lambda row: row[:3]):
        found[number, recipient, seen[number, recipient]] = one
        seen[number, recipient] += 1
    return found


async def rewrite(conn: Connection, work: Sequence[Work], recorder: Recorder) -> list[Difference]:
    """
    Write what *work* changes, inside the transaction of *conn*, and return it.

    An input that cannot be judged now stays as it was. Raises AnotherWasFirst as record() does.
    """
    work = [one for one in work if not isinstance(one.judged, str)]
    found = await differences(conn, work)
    await inputs.finish(conn, [finished(*one) for one in work])
    await put(conn, found, recorder)
    return found


async def judged_again(
    connect: Connect,
    judging: Judging,
    ring: Keyring,
    selection: Selection,
    recorder: Recorder,
    *,
    write: bool,
    after: int = 0,
) -> AsyncIterator[Step]:
    """
    Judge the inputs of *selection* above *after* again, and yield what changes, batch by batch.

    With *write*, each batch is written before it is yielded. Raises StoreUnavailable where the
    database goes away; what was yielded is done.
    """
    async with await connect() as conn:
        while batch := await before.inputs_to_judge(conn, selection, after, BATCH):
            read = await judging.judge([(one.source, one.content) for one in batch])
            judged = await once.without_reused(conn, batch, read)
            paths = await look_up(conn, ring, batch, judged)
            work = await owners.look_up(conn, work_on(batch, judged, paths))
            found = await differences(conn, work)
            if write and found:
                changed = {one.input_id for one in found}
                async with conn.transaction():
                    again = [one for one in work if one.taken.id in changed]
                    await lock(conn, found)
                    found = await rewrite(conn, again, recorder)
            after = batch[-1].id
            yield Step(len(batch), found, str(after))


async def lock(conn: Connection, found: Iterable[Difference]) -> None:
    """
    Let nobody else record anything on those whom *found* is about.

    What was said of them before is to be read again then: its bounces may be gone.
    """
    await store.recipient_ids(conn, [one.recipient for one in found if one.recipient])


async def put(conn: Connection, found: Sequence[Difference], recorder: Recorder) -> None:
    """Write what is said now in the place of what was said before, and decide anew."""
    said = [one.said for one in found if one.said]
    fresh = [one.observation for one in found if one.observation]
    await recorder.decide(conn, await _replace(conn, said, fresh))


async def _replace(
    conn: Connection, said: Sequence[Said], fresh: Sequence[Observation]
) -> dict[str, int]:
    """Put *fresh* in the place of *said*, and return the recipients that it concerns, by id."""
    names = [one.recipient for one in said] + [one.recipient for one in fresh]
    ids = await store.recipient_ids(conn, names)
    fresh = await weighed(conn, fresh, ids)
    homes = {(one.recipient, one.key): one.bounce_id for one in said if one.bounce_id}
    staying = [one for one in fresh if one.counts and (one.recipient, one.key) in homes]
    await before.delete_observations(conn, [_mark(one) for one in said])
    if staying:
        rows = [observation_row(one, ids, homes) for one in staying]
        await store.add_observations(conn, rows)
    await _rebuild(conn, sorted(set(homes.values())), ids)
    return ids | await record(conn, [one for one in fresh if one not in staying], ids)


async def _rebuild(conn: Connection, numbers: Sequence[int], ids: dict[str, int]) -> None:
    """Let each bounce be what its evidence adds up to; one without any is deleted."""
    stored = await store.bounces_by_id(conn, numbers) if numbers else {}
    evidence: defaultdict[int, list[Bounce]] = defaultdict(list)
    for part in await before.evidence_of(conn, numbers):
        evidence[part.id].append(part)
    changes = [
        Change(replace(merge(evidence[number]), created_at=bounce.created_at), (bounce,))
        for number, bounce in stored.items()
        if number in evidence
    ]
    gone = [bounce for number, bounce in stored.items() if number not in evidence]
    if changes:
        await write_bounces(conn, changes, ids)
    if gone:
        ids |= await store.recipient_ids(conn, [bounce.recipient for bounce in gone])
        await before.delete_refs_of(conn, [bounce.id for bounce in gone])
        await delete_bounces(conn, gone, ids)


async def _without_copies(conn: Connection, fresh: Sequence[Observation]) -> list[Observation]:
    rows = [{"recipient": one.recipient, "key": one.key, "input_id": one.input_id} for one in fresh]
    copies = await before.said_elsewhere(conn, rows)
    return [one for one in fresh if (one.input_id, one.recipient, one.key) not in copies]


def _differ(was: Said | None, now: Observation | None) -> bool:
    if was is None or now is None:
        return True
    return (was.key, was.rule, in_short(was)) != (now.key, now.verdict.rule, judged_as(now))


def _difference(
    number: int, recipient: str, was: Said | None, now: Observation | None
) -> Difference:
    return Difference(
        input_id=number,
        recipient=recipient,
        was=in_short(was) if was else NOTHING,
        now=judged_as(now) if now else NOTHING,
        rule=now.verdict.rule if now else "",
        said=was,
        observation=now,
    )


def in_short(said: Said) -> str:
    """Return how *said* was judged, in words."""
    return " ".join(word for word in (said.type, said.reason, said.status) if word)


def judged_as(one: Observation) -> str:
    """Return how *one* is judged, in words."""
    status = one.verdict.status or one.report.status
    return " ".join(str(word) for word in (one.verdict.type, one.verdict.reason, status) if word)


def _mark(said: Said) -> dict[str, Any]:
    return {"recipient_id": said.recipient_id, "occurred_at": said.occurred_at, "key": said.key}
