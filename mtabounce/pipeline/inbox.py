"""
The inbox: where every source lets go of its inputs, and the only way in.

Commits are grouped without a timer: whatever arrives while one commit is under way goes into the
next. One statement in autocommit mode is one transaction and one round trip.
"""

import asyncio
import logging
from collections import Counter as Tally
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
from prometheus_client import Counter, Gauge, Histogram
from psycopg import AsyncConnection

from mtabounce.errors import StoreUnavailable, brief
from mtabounce.model import RawInput
from mtabounce.store import inputs
from mtabounce.store.connection import Connect

INPUTS = Counter("mtabounce_inputs_total", "Inputs committed to the inbox.", ["source"])
REFUSED = Counter("mtabounce_inputs_refused_total", "Inputs that could not be made durable.")
WAITING = Gauge("mtabounce_inputs_waiting_bytes", "Bytes of inputs that wait for their COMMIT.")
BATCH = Histogram(
    "mtabounce_inbox_batch_size", "Inputs in one COMMIT.", buckets=(1, 3, 10, 30, 100, 300, 1000)
)
MAX_BATCH = 1_000  # inputs; more would only make the last one wait longer
MAX_BATCH_BYTES = 32 * 2**20
MAX_WAITING_BYTES = 128 * 2**20
BUSY_BATCH = 4  # inputs in one COMMIT: so many senders wait for us at a time
BUSY_FOR = 0.25  # seconds after such a COMMIT
QUIET_FOR = 5.0  # seconds after a warning
log = logging.getLogger(__name__)

Accept = Callable[[RawInput], Awaitable[None]]  # as Inbox.append(): returns once it is durable


class Inbox:
    """
    Makes inputs durable. Start run() in a task of its own; append() from anywhere in the loop.

    *connect* gives a connection in autocommit mode; *committed* is called after each COMMIT.
    *patience* (seconds) is how long one COMMIT may take before senders are told to come again;
    who comes while it is stuck may wait for a second one, 14 s in all.
    """

    def __init__(
        self, connect: Connect, committed: Callable[[], None], patience: float = 7.0
    ) -> None:
        self._connect = connect
        self._committed = committed
        self._patience = patience
        self._conn: AsyncConnection[Any] | None = None
        self._queue: list[tuple[RawInput, asyncio.Future[None]]] = []
        self._waiting = 0
        self._arrived = asyncio.Event()
        self._closed = False
        self._busy_until = 0.0  # by the loop's clock
        self._quiet_until = 0.0
        self._untold = 0  # inputs that were refused since it was logged

    def is_busy(self) -> bool:
        """Tell whether many senders wait for us now, so that other work should give way."""
        return asyncio.get_running_loop().time() < self._busy_until

    async def append(self, raw: RawInput) -> None:
        """
        Return once *raw* is committed.

        Raises StoreUnavailable where it cannot be: the sender must keep it and come again. It
        may have been stored all the same, where the answer of COMMIT was lost.
        """
        if self._closed or self._waiting + len(raw.content) > MAX_WAITING_BYTES:
            REFUSED.inc()
            raise StoreUnavailable("the inbox takes no more inputs now")
        done = asyncio.get_running_loop().create_future()
        self._queue.append((raw, done))
        self._waiting += len(raw.content)
        self._arrived.set()
        await done  # where the sender goes away, it is cancelled, and the commit goes on

    async def run(self) -> None:
        """Commit what is appended, until close() has been called and the queue is empty."""
        try:
            while self._queue or not self._closed:
                await self._arrived.wait()
                self._arrived.clear()
                while batch := self._take():
                    await self._commit(batch)
        finally:
            await self._disconnect()

    def close(self) -> None:
        """Take no more inputs; run() returns once those that wait are committed or refused."""
        self._closed = True
        self._arrived.set()

    def _take(self) -> list[tuple[RawInput, asyncio.Future[None]]]:
        size = count = 0
        for raw, _ in self._queue[:MAX_BATCH]:
            if count and size + len(raw.content) > MAX_BATCH_BYTES:
                break
            count += 1
            size += len(raw.content)
        batch, self._queue = self._queue[:count], self._queue[count:]
        WAITING.set(self._waiting)
        return batch

    async def _commit(self, batch: list[tuple[RawInput, asyncio.Future[None]]]) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await self._write([raw for raw, _ in batch])
        except (psycopg.Error, StoreUnavailable, OSError, TimeoutError) as error:
            await self._disconnect()
            self._tell(len(batch), error)
            self._settle(batch, StoreUnavailable("the inbox cannot be written now"))
        else:
            self._settle(batch, None)
            if len(batch) >= BUSY_BATCH:
                self._busy_until = asyncio.get_running_loop().time() + BUSY_FOR
            self._committed()

    def _tell(self, refused: int, error: Exception) -> None:
        """Log it, once in a time: senders come again and again, and the disk may be full."""
        self._untold += refused
        now = asyncio.get_running_loop().time()
        if now >= self._quiet_until:
            log.warning("inbox: %d inputs refused: %s", self._untold, brief(error))
            self._untold, self._quiet_until = 0, now + QUIET_FOR

    async def _write(self, batch: list[RawInput]) -> None:
        if self._conn is None:
            self._conn = await self._connect()
        await inputs.append(self._conn, batch)

    def _settle(
        self, batch: list[tuple[RawInput, asyncio.Future[None]]], error: StoreUnavailable | None
    ) -> None:
        BATCH.observe(len(batch))
        self._waiting -= sum(len(raw.content) for raw, _ in batch)
        WAITING.set(self._waiting)
        if error is None:
            sources = Tally(raw.source.partition(":")[0] for raw, _ in batch)
            for source, count in sources.items():
                INPUTS.labels(source).inc(count)
        else:
            REFUSED.inc(len(batch))
        for _, done in batch:
            if done.done():  # the sender has gone away
                continue
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

    async def _disconnect(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            await conn.close()
