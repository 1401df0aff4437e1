"""What operators say about addresses: it is written down, and policy decides again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from psycopg import AsyncConnection

from mtabounce.pipeline.decide import decide, decision_key
from mtabounce.policy import EVERYWHERE, PolicySettings
from mtabounce.store import erasure
from mtabounce.store import policy as store
from mtabounce.store.record import recipient_ids

BATCH = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What an operator says about one address."""

    recipient: str  # normalized
    action: Literal["add", "remove"]
    why: str
    scope: str = EVERYWHERE  # of what is added
    until: datetime | None = None  # of what is added; None: for good
    forgives: tuple[int, ...] = ()  # bounces; with undoes empty, too, a remove forgives all
    undoes: tuple[int, ...] = ()  # decisions that added it


async def say(
    conn: AsyncConnection[Any],
    policy: PolicySettings,
    words: Sequence[Word],
    actor: str,
) -> None:
    """Write *words* and what follows from them, inside the transaction of *conn*."""
    removed = [one.recipient for one in words if one.action == "remove"]
    await erasure.live_again(conn, removed)
    erased = await erasure.erased_among(conn, [one.recipient for one in words])
    words = [one for one in words if one.recipient not in erased]  # they are suppressed
    ids = await recipient_ids(conn, [one.recipient for one in words])
    now = await store.clock(conn)
    rows = [_row(one, ids[one.recipient], actor, now) for one in words]
    await store.add_decisions(conn, rows)
    await decide(conn, policy, ids)


def in_batches(words: Sequence[Word]) -> Iterator[Sequence[Word]]:
    """Give *words* in parts that one transaction can take."""
    for start in range(0, len(words), BATCH):
        yield words[start : start + BATCH]


def _row(word: Word, number: int, actor: str, now: datetime) -> dict[str, Any]:
    row = {
        "recipient_id": number,
        "recipient": word.recipient,
        "actor": actor,
        "action": word.action,
        "why": word.why,
        "scope": word.scope,
        "type": None,
        "reason": word.why if word.action == "add" else "",
        "bounces": list(word.forgives),
        "undoes": list(word.undoes),
        "until": word.until,
        "decided_at": now,
    }
    return row | {"key": decision_key(row)}
