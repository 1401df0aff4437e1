"""What policy has to look at again though nothing was reported: time passed, or somebody spoke."""

from datetime import datetime
from typing import Any

from prometheus_client import Gauge
from psycopg import AsyncConnection

from mtabounce.correlate import domain_of
from mtabounce.pipeline.decide import decide
from mtabounce.policy import BreakerSettings, PolicySettings
from mtabounce.store import incidents
from mtabounce.store import policy as store
from mtabounce.store.record import recipient_ids

OPEN = Gauge(
    "mtabounce_incidents_open", "Incidents that wait for somebody to confirm or revert them."
)


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
            locked = await recipient_ids(conn, {name: domain_of(name) for name in recipients})
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
            locked = await recipient_ids(conn, {name: domain_of(name) for name in recipients})
            await incidents.settle(conn, list(locked.values()))
            await decide(conn, policy, locked)
        seen += len(recipients)


async def forget(conn: AsyncConnection[Any], breaker: BreakerSettings, now: datetime) -> int:
    """Delete what no window reaches back to any more."""
    await incidents.forget_counts(conn, now - breaker.history - 2 * breaker.window)
    return 0
