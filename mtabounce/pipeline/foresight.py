"""What other settings would have made of the same history: nothing is written."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection

from mtabounce.correlate import domain_of
from mtabounce.policy import EVERYWHERE, PolicySettings, Standing, judge
from mtabounce.store import policy as store

_BATCH = 2000


@dataclass(frozen=True, slots=True)
class Change:
    """An address that would stand otherwise."""

    recipient: str
    was: tuple[str, ...]  # causes of what suppresses it, with their scopes where these are not all
    would_be: tuple[str, ...]
    why: str  # the last decision under the other settings


@dataclass(slots=True)
class Tally:
    """What two settings make of addresses, by cause."""

    addresses: int = 0
    was: Counter[str] = field(default_factory=Counter)
    would_be: Counter[str] = field(default_factory=Counter)


async def compare(
    conn: AsyncConnection[Any],
    now: datetime,
    since: datetime | None,
    settings: PolicySettings,
    others: PolicySettings,
    tally: Tally,
) -> AsyncIterator[list[Change]]:
    """
    Judge all addresses that something was said about since *since*, by *settings* and by *others*.

    Yields what differs, batch by batch, and counts into *tally*.
    """
    after = 0
    while batch := await store.recipients_since(conn, since, after, _BATCH):
        histories = await store.histories(conn, list(batch))
        changes = []
        for number, recipient in batch.items():
            history, domain = histories.get(number, []), domain_of(recipient)
            was = judge(history, settings.policy_for(domain), now)
            would_be = judge(history, others.policy_for(domain), now)
            tally.addresses += 1
            tally.was.update(_causes(was))
            tally.would_be.update(_causes(would_be))
            if _causes(was) != _causes(would_be):
                changes.append(Change(recipient, _causes(was), _causes(would_be), _why(would_be)))
        yield changes
        after = max(batch)


def _causes(standing: Standing) -> tuple[str, ...]:
    return tuple(
        one.cause if scope == EVERYWHERE else f"{one.cause} ({scope})"
        for scope, one in sorted(standing.suppressions.items())
    )


def _why(standing: Standing) -> str:
    return standing.decisions[-1].why if standing.decisions else "nothing counts"
