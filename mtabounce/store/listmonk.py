"""Bounces as listmonk's API gives them."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from mtabounce.model import Trust
from mtabounce.store.statements import statements

SQL = statements("listmonk")
Connection = AsyncConnection[Any]
_SOME = 1_000  # bounces that are in memory at a time
_ALL: dict[str, Any] = {
    "id": None, "campaign_id": None, "subscriber_id": None, "source": None, "limit": None,
    "offset": 0, "order_by": "created_at", "ascending": False,
}  # fmt: skip


async def list_bounces(conn: Connection, **filters: Any) -> list[dict[str, Any]]:
    """Return the bounces that fit *filters*, each with ``total``, how many there are in all."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL["list_bounces"], _ALL | filters)
        return await cursor.fetchall()


async def all_bounces(conn: Connection, **filters: Any) -> AsyncIterator[list[dict[str, Any]]]:
    """Yield all bounces that fit *filters*, some at a time, each as list_bounces() has it."""
    async with conn.transaction(), conn.cursor(name="bounces", row_factory=dict_row) as cursor:
        await cursor.execute(SQL["all_bounces"], _ALL | filters)
        while rows := await cursor.fetchmany(_SOME):
            yield rows


async def bounce_ids(
    conn: Connection, ids: Sequence[int] | None = None, subscriber_id: int | None = None
) -> list[int]:
    """Return the ids of up to 1,000 bounces; None leaves a condition out."""
    args = {"ids": None if ids is None else list(ids), "subscriber_id": subscriber_id}
    cursor = await conn.execute(SQL["bounce_ids"], args)
    return [number for (number,) in await cursor.fetchall()]


async def recipients_of(conn: Connection, ids: Sequence[int]) -> list[str]:
    """Return whose bounces *ids* are."""
    cursor = await conn.execute(SQL["recipients_of"], {"ids": list(ids)})
    return [recipient for (recipient,) in await cursor.fetchall()]


async def let_go(conn: Connection, ids: Sequence[int]) -> None:
    """Take the evidence of the bounces *ids* off them."""
    await conn.execute(SQL["let_go"], {"ids": list(ids)})


async def bounced_recipients(conn: Connection, trusts: Sequence[Trust]) -> list[str]:
    """Return who has a bounce of one of *trusts*, and is not blocklisted by hand yet."""
    cursor = await conn.execute(SQL["bounced_recipients"], {"trusts": list(trusts)})
    return [recipient for (recipient,) in await cursor.fetchall()]


async def recipient_by_uuid(conn: Connection, uuid: str) -> str | None:
    """Return the address of the subscriber *uuid*; None where it is not known."""
    cursor = await conn.execute(SQL["recipient_by_uuid"], {"uuid": uuid})
    found = await cursor.fetchone()
    return found[0] if found else None
