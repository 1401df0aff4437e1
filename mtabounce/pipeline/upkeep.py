"""
What is looked after though nothing was reported: time passed, or somebody spoke.

Partitions are made, what is too old goes; suppressions end, and policy looks again at whom an
incident began or ended to hold.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from prometheus_client import Gauge
from psycopg import AsyncConnection

from mtabounce.errors import TryAgainLater
from mtabounce.pipeline import sent_mail
from mtabounce.pipeline.decide import decide
from mtabounce.pipeline.retention import retain
from mtabounce.pipeline.settings import RetentionSettings, SentMailSettings
from mtabounce.policy import BreakerSettings, PolicySettings
from mtabounce.store import incidents
from mtabounce.store import policy as store
from mtabounce.store.connection import Connect
from mtabounce.store.partitions import ensure_partitions
from mtabounce.store.record import recipient_ids
from mtabounce.store.unavailable import unavailable

KEEP_UP = 3600.0  # seconds between looks at the partitions, and at what is too old
SWEEP = 60.0  # seconds between looks for suppressions that are over, and for incidents
OPEN = Gauge(
    "mtabounce_incidents_open", "Incidents that wait for somebody to confirm or revert them."
)
log = logging.getLogger(__name__)


class Upkeep:
    """Looks after all that, again and again. Start run() in a task."""

    def __init__(
        self,
        connect: Connect,
        policy: PolicySettings,
        retention: RetentionSettings,
        sent: SentMailSettings,
    ) -> None:
        self._connect = connect
        self._policy = policy
        self._retention = retention
        self._sent = sent

    async def run(self) -> None:
        """Look until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._again_and_again(KEEP_UP, self._keep_up))
            tasks.create_task(self._again_and_again(SWEEP, self._sweep))

    async def _again_and_again(
        self, pause: float, look: Callable[[AsyncConnection[Any]], Awaitable[None]]
    ) -> None:
        while True:
            try:
                async with await self._connect() as conn:
                    with unavailable():
                        await look(conn)
            except Exception as error:  # mail comes in without it
                log.warning("upkeep: %s", error, exc_info=not isinstance(error, TryAgainLater))
            await asyncio.sleep(pause)

    async def _keep_up(self, conn: AsyncConnection[Any]) -> None:
        await keep_up(conn, self._retention, self._sent, datetime.now(UTC))

    async def _sweep(self, conn: AsyncConnection[Any]) -> None:
        await forget(conn, self._policy.breaker, datetime.now(UTC))
        await lift_ended(conn, self._policy)
        await settle(conn, self._policy)


async def keep_up(
    conn: AsyncConnection[Any], retention: RetentionSettings, sent: SentMailSettings, now: datetime
) -> Counter[str]:
    """
    Make the partitions of the time to come, and let go what is too old, as retain() does.

    *conn* is in autocommit mode. Return how many rows went, by table: a guess where days did.
    """
    await ensure_partitions(conn, now)
    old = await sent_mail.due(conn, sent, now)
    is_done = await sent_mail.keep_up(conn, sent, now)
    gone = await retain(conn, retention, now)
    gone.update(old if is_done else {})
    return gone


async def lift_ended(
    conn: AsyncConnection[Any], settings: PolicySettings, batch: int = 1000
) -> int:
    """
    Look again at the addresses of whom a suppression is over; return how many there were.

    They are not refused in the meantime: whoever asks looks at the time. What is written here is
    that it is over.
    """
    seen = 0
    while True:
        async with conn.transaction():
            recipients = await store.ended(conn, batch)
            if not recipients:
                return seen
            locked = await recipient_ids(conn, recipients)
            await decide(conn, settings, locked)
        seen += len(recipients)
        if len(recipients) < batch:
            return seen


async def settle(conn: AsyncConnection[Any], policy: PolicySettings, batch: int = 1000) -> int:
    """
    Let policy look again at whom an incident began or ended to hold; return how many there were.

    Those who were suppressed by its first bounces, before it was one, are let go here.
    """
    await incidents.hold_stragglers(conn)
    seen = 0
    while True:
        async with conn.transaction():
            recipients = await incidents.unsettled(conn, batch)
            if not recipients:
                OPEN.set(await incidents.count_open(conn))
                return seen
            locked = await recipient_ids(conn, recipients)
            await incidents.settle(conn, list(locked.values()))
            await decide(conn, policy, locked)
        seen += len(recipients)


async def forget(conn: AsyncConnection[Any], breaker: BreakerSettings, now: datetime) -> None:
    """Delete what the breaker counted before any window that it looks at, at *now* (aware)."""
    await incidents.forget_counts(conn, now - breaker.history - 2 * breaker.window)
