"""
Workers: claim inputs, have them judged, record what they say; one transaction for a batch.

The claim is a row lock that lasts as long as the transaction, so a worker that dies, anywhere,
gives its inputs back.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from prometheus_client import Counter, Histogram
from psycopg import AsyncConnection

from mtabounce.correlate import Observation, ReturnPath
from mtabounce.errors import StoreUnavailable, TryAgainLater
from mtabounce.model import Judged
from mtabounce.pipeline import once, owners, return_paths
from mtabounce.pipeline.decide import Recorder
from mtabounce.pipeline.judge_process import JudgeSettings
from mtabounce.pipeline.judging import Judging
from mtabounce.pipeline.raw import trimmed
from mtabounce.pipeline.record import MET_ANOTHER
from mtabounce.pipeline.settings import Raw
from mtabounce.pipeline.work import Work, work_on
from mtabounce.store import inputs
from mtabounce.store.connection import Connect
from mtabounce.store.inputs import ClaimedInput, Finished
from mtabounce.store.unavailable import is_passing
from mtabounce.verp import Keyring

FINISHED = Counter(
    "mtabounce_inputs_finished_total", "Inputs that a worker was done with.", ["outcome"]
)
SECONDS = Histogram("mtabounce_batch_seconds", "From the claim of a batch to its COMMIT.")
GIVE_WAY = 10  # tenths of a second that a batch waits while senders do
ROUNDS = 5  # how often a transaction that met another is tried before the worker pauses
log = logging.getLogger(__name__)

Connection = AsyncConnection[Any]
Tell = Callable[[Sequence[Finished]], None]
_OF_THE_ADMINISTRATOR = (  # who took a right, or something of the schema
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.InvalidSchemaName,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.UndefinedTable,
)


def ignore(finished: Sequence[Finished]) -> None:
    """Do nothing about what became of a batch."""


class Worker:
    """
    Drains the inbox with one connection and one judging process, its own. Start run() in a task.

    *wake* is set whenever inputs have arrived here; *pause* (seconds) is how long the worker
    waits for it before it looks for inputs that others put in. *ring* holds the keys of signed
    return paths; None: there are none. While *is_busy* says that senders wait, batches are put
    off, but not for ever. With *until_idle*, it ends where nothing is left to do. *tell* is called
    with what became of each batch that is committed.
    """

    def __init__(
        self,
        connect: Connect,
        judging: Judging,
        recorder: Recorder,
        wake: asyncio.Event,
        *,
        ring: Keyring | None = None,
        batch: int = 100,
        raw: Raw = "full",
        pause: float = 1.0,
        until_idle: bool = False,
        is_busy: Callable[[], bool] = bool,
        tell: Tell = ignore,
    ) -> None:
        self._connect = connect
        self._judging = judging
        self._recorder = recorder
        self._wake = wake
        self._ring = ring or Keyring()
        self._batch = batch
        self._raw = raw
        self._pause = pause
        self._until_idle = until_idle
        self._is_busy = is_busy
        self._tell = tell
        self._stopping = False
        self.trouble = ""  # why it cannot judge; empty: all is well

    async def run(self) -> None:
        """
        Work until stop() is called. Where PostgreSQL is away, wait until it is back.

        Raises StoreUnavailable instead where it is to run until idle.
        """
        try:
            while not self._stopping:
                try:
                    await self._start()
                    async with await self._connect() as conn:
                        await self._drain(conn)
                except Exception as error:  # a worker that ended would be missed by nobody
                    if self._until_idle:
                        raise
                    is_bug = not isinstance(error, psycopg.Error | TryAgainLater | OSError)
                    log.warning("worker: %s", _brief(error), exc_info=is_bug)
                    await asyncio.sleep(self._pause)
        finally:
            await self._judging.close()

    def stop(self) -> None:
        """Take no further batch; run() returns when the one under way is committed."""
        self._stopping = True
        self._wake.set()

    def reload(self, settings: JudgeSettings, ring: Keyring) -> None:
        """Judge with new *settings* and keys from the next batch on."""
        self._judging.reload(settings)
        self._ring = ring

    async def _start(self) -> None:
        try:
            await self._judging.start()
        except TryAgainLater as error:
            self.trouble = str(error)
            raise
        self.trouble = ""

    async def _drain(self, conn: Connection) -> None:
        while not self._stopping:
            await self._give_way()
            if await self.work(conn):
                continue
            if self._until_idle:
                self._stopping = True
                return
            self._wake.clear()
            try:
                async with asyncio.timeout(self._pause):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _give_way(self) -> None:
        """Let senders go first: what they wait for is a COMMIT, what we do can be done later."""
        for _ in range(GIVE_WAY):
            if self._stopping or not self._is_busy():
                return
            await asyncio.sleep(0.1)

    async def work(self, conn: Connection) -> int:
        """
        Do one batch in one transaction; return how many inputs it had, 0 where none waits.

        Raises StoreUnavailable where another transaction was in its way each time.
        """
        for _ in range(ROUNDS):
            begun = time.monotonic()
            try:
                async with conn.transaction():
                    done = await self._one_batch(conn)
            except MET_ANOTHER as error:
                log.info("worker: once more: %s", type(error).__name__)
                await asyncio.sleep(random.uniform(0, 0.05))  # noqa: S311 (no secret)
            else:
                if done:
                    SECONDS.observe(time.monotonic() - begun)
                    self._tell(done)
                return len(done)
        raise StoreUnavailable(f"other transactions were in the way of a batch {ROUNDS} times")

    async def _one_batch(self, conn: Connection) -> list[Finished]:
        claimed = await inputs.claim(conn, self._batch)
        if not claimed:
            return []
        read = await self._judging.judge([(one.source, one.content) for one in claimed])
        await once.use_once(conn, claimed)
        judged = await once.without_reused(conn, claimed, read)
        paths = await return_paths.look_up(conn, self._ring, claimed, judged)
        work = work_on(claimed, judged, paths)
        try:
            done = await self._record_all(conn, work)
        except Exception as error:
            if not _is_of_the_input(error):
                raise
            log.warning("worker: recording %d inputs one by one: %s", len(work), _brief(error))
            done = [await self._record_alone(conn, one) for one in work]
        await inputs.finish(conn, done)
        pairs = zip(claimed, done, strict=True)
        if cut := [kept for pair in pairs if (kept := trimmed(*pair, self._raw))]:
            await inputs.trim(conn, cut)
        for one in done:
            FINISHED.labels(one.outcome or "failed").inc()
        return done

    async def _record_all(self, conn: Connection, work: Sequence[Work]) -> list[Finished]:
        async with conn.transaction():  # a savepoint: the claim outlives an error
            named: list[Work] = []
            unnamed: list[Work] = []
            for one in work:
                (unnamed if owners.unnamed(one.judged, one.paths) else named).append(one)
            await self._recorder.record(conn, [seen for one in named for seen in _observed(one)])
            found: list[Work] = []
            if unnamed:  # after what the others say
                found = await owners.look_up(conn, unnamed)
                seen = [seen for one in found for seen in _observed(one)]
                await self._recorder.record(conn, seen)
        return [finished(*one) for one in (*named, *found)]

    async def _record_alone(self, conn: Connection, work: Work) -> Finished:
        one = work.taken
        try:
            async with conn.transaction():
                (work,) = await owners.look_up(conn, [work])
                await self._recorder.record(conn, _observed(work))
        except Exception as error:
            if not _is_of_the_input(error):
                raise
            log.warning("worker: input %d failed", one.id, exc_info=True)
            return Finished(id=one.id, outcome=None, error=f"not storable: {_brief(error)}")
        return finished(*work)


def _observed(work: Work) -> list[Observation]:
    """Return what *work* says, and count what its return paths made of it."""
    observations = work.observed()
    if not isinstance(work.judged, str):
        return_paths.count_strangers(work.paths, observations)
        owners.count(work.judged, work.paths)
    return observations


def finished(one: ClaimedInput, judged: Judged | str, paths: Sequence[ReturnPath] = ()) -> Finished:
    """Return what became of *one*, that came to *paths*, by how it was judged."""
    if isinstance(judged, str):
        return Finished(id=one.id, outcome=None, error=judged)
    reading = judged.reading
    note = reading.note or (owners.UNKNOWN if owners.unnamed(judged, paths) else "")
    return Finished(id=one.id, outcome=reading.outcome, parser=reading.parser, error=note)


def _is_of_the_input(error: Exception) -> bool:
    """Tell whether recording the same would fail again: by what it is, or by a mistake of ours."""
    if isinstance(error, _OF_THE_ADMINISTRATOR):
        return False  # until somebody grants or mends it
    if isinstance(error, psycopg.Error):
        return not is_passing(error)
    return not isinstance(error, TryAgainLater | OSError)


def _brief(error: Exception) -> str:
    said = (str(error).splitlines() or [""])[0]
    says_it_all = said and isinstance(error, psycopg.Error | TryAgainLater)
    return (said if says_it_all else f"{type(error).__name__}: {said}")[:500]
