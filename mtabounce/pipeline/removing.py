"""Bounces that somebody deletes: what was said of them stays, and counts no more."""

from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection

from mtabounce.pipeline.record import delete_bounces
from mtabounce.store import listmonk as store
from mtabounce.store import record, rewrite
from mtabounce.store.retention import pin_without


async def remove_bounces(conn: AsyncConnection[Any], numbers: Sequence[int], actor: str) -> None:
    """
    Delete the bounces *numbers* for *actor*, inside the transaction of *conn*.

    As in listmonk, whoever is suppressed by them stays so.
    """
    names = await store.recipients_of(conn, numbers)
    ids = await record.recipient_ids(conn, names)  # locked first, as recorders do
    gone = list((await record.bounces_by_id(conn, numbers)).values())
    await pin_without(conn, list(ids.values()), numbers, actor)
    await store.let_go(conn, numbers)
    await rewrite.delete_refs_of(conn, numbers)
    await delete_bounces(conn, gone, ids)
