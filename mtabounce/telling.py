"""Sends what waits in the outbox, again and again until it is taken or given up."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from prometheus_client import Counter
from psycopg import AsyncConnection

from mtabounce.errors import TryAgainLater
from mtabounce.sinks import Kind, NotTaken, SinkSettings, kinds
from mtabounce.store import outbox as store
from mtabounce.store.connection import Connect
from mtabounce.store.outbox import Message
from mtabounce.store.unavailable import unavailable

TOLD = Counter("mtabounce_outbox_total", "Attempts to tell others, by result.", ["sink", "result"])
PAUSES = (5, 30, 120, 600, 1800, *[3600] * 24)  # seconds between attempts; then it is dead
_BATCH = 20  # messages under way at once, to one sink
_POLL = 1.0  # seconds
_KEPT = timedelta(days=7)  # what was sent, and a sink of which nothing is heard
log = logging.getLogger(__name__)


class Telling:
    """Tells all *sinks*, each at its own pace."""

    def __init__(
        self,
        sinks: Sequence[SinkSettings],
        connect: Connect,
    ) -> None:
        self._sinks = {sink.title: sink for sink in sinks}
        self._kinds = kinds()
        self._connect = connect

    async def run(self) -> None:
        """Register the sinks, and tell them until this is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._register())
            for name in self._sinks:
                tasks.create_task(self._tell(name))

    async def tell_once(self, conn: AsyncConnection[Any], name: str) -> int:
        """Try all that is due for sink *name*, in one transaction; return how many there were."""
        sink = self._sinks[name]
        kind = self._kinds[sink.kind]
        async with conn.transaction():
            messages = await store.claim(conn, name, _BATCH)
            errors = await asyncio.gather(*(_try(kind, sink, one) for one in messages))
            both = list(zip(messages, errors, strict=True))
            sent = [one.id for one, error in both if error is None]
            failed = [(one.id, error, _pause(one)) for one, error in both if error is not None]
            if messages:
                await store.finish(conn, sent, failed)
        TOLD.labels(name, "taken").inc(len(sent))
        TOLD.labels(name, "not_taken").inc(len(failed))
        return len(messages)

    async def register(self, conn: AsyncConnection[Any]) -> None:
        """Let the database know whom to write messages for."""
        told = {name: sink.told for name, sink in self._sinks.items()}
        async with conn.transaction():
            await store.put_sinks(conn, told)
            await store.forget_lost_sinks(conn, datetime.now(UTC) - _KEPT)
            await store.forget_sent(conn, datetime.now(UTC) - _KEPT)

    async def _register(self) -> None:
        while True:
            try:
                async with await self._connect() as conn:
                    with unavailable():
                        await self.register(conn)
            except Exception as error:  # mail comes in without it
                log.warning("outbox: %s", error, exc_info=not isinstance(error, TryAgainLater))
                await asyncio.sleep(_POLL * 5)
            else:
                await asyncio.sleep(3600)

    async def _tell(self, name: str) -> None:
        while True:
            try:
                async with await self._connect() as conn:
                    with unavailable():
                        while True:
                            if not await self.tell_once(conn, name):
                                await asyncio.sleep(_POLL)
            except Exception as error:  # mail comes in without it
                log.warning("outbox: %s", error, exc_info=not isinstance(error, TryAgainLater))
                await asyncio.sleep(_POLL * 5)


async def _try(kind: Kind, sink: SinkSettings, message: Message) -> str | None:
    try:
        await kind.send(sink, message)
    except NotTaken as error:
        return sink.shown(str(error))[:500]
    except Exception as error:
        log.exception("outbox: %s", sink.title)
        return sink.shown(f"{type(error).__name__}: {error}")[:500]
    return None


def _pause(message: Message) -> float | None:
    return PAUSES[message.attempts] if message.attempts < len(PAUSES) else None
