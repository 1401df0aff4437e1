"""Signatures of webhooks that leave out the body: each is good for one body, for good."""

from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection

from mtabounce.model import WEBHOOK, Judged, Outcome, Reading
from mtabounce.providers.request import USED, signature_of
from mtabounce.store.inputs import ClaimedInput
from mtabounce.store.webhooks import Signature, use, used

_FORGED = Judged(reading=Reading(outcome=Outcome.UNRECOGNIZED, note=USED))


async def use_once(conn: AsyncConnection[Any], inputs: Sequence[ClaimedInput]) -> None:
    """Note what *inputs* are signed with, where that is new: it is good for nothing else now."""
    if signatures := _signatures(inputs):
        await use(conn, signatures)


async def without_reused(
    conn: AsyncConnection[Any], inputs: Sequence[ClaimedInput], judged: Sequence[Judged | str]
) -> list[Judged | str]:
    """Return *judged*, of *inputs*; one that reuses a signature for another body says nothing."""
    signatures = _signatures(inputs)
    forged = await used(conn, signatures) if signatures else set()
    return [_FORGED if one.id in forged else how for one, how in zip(inputs, judged, strict=True)]


def _signatures(inputs: Sequence[ClaimedInput]) -> list[Signature]:
    return [
        Signature(one.id, *found)
        for one in inputs
        if one.source.startswith(WEBHOOK) and (found := signature_of(one.content))
    ]
