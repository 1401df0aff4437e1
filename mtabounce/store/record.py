"""What the recorder reads and writes; each function is one statement of sql/record.sql."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row, dict_row, scalar_row

from mtabounce.correlate import Bounce, KnownRef, domain_of
from mtabounce.model import BounceType, Fault, Trust
from mtabounce.store.rows import Row, as_json
from mtabounce.store.statements import statements

SQL = statements("record")
Connection = AsyncConnection[Any]


async def recipient_ids(
    conn: Connection, recipients: Iterable[str], known: Collection[str] = ()
) -> dict[str, int]:
    """
    Return the id of each of *recipients*, adding new ones.

    Those of *known* are among them where they are there. All rows stay locked until the
    transaction ends; to lock them at once is what keeps two from waiting in a circle.
    """
    wanted = set(recipients)
    names = list(wanted.union(known))
    if not names:
        return {}
    if wanted:
        rows = [{"recipient": name, "domain": domain_of(name)} for name in wanted]
        await conn.execute(SQL["add_recipients"], {"rows": as_json(rows)})
    cursor = await conn.execute(SQL["lock_recipients"], {"recipients": names})
    return {recipient: number for number, recipient in await cursor.fetchall()}


async def campaign_ids(conn: Connection, campaigns: Sequence[str]) -> dict[str, int]:
    """Return the id of each of *campaigns*, adding new ones."""
    args = {"campaigns": list(campaigns)}
    await conn.execute(SQL["add_campaigns"], args)
    cursor = await conn.execute(SQL["campaign_ids"], args)
    return {campaign: number for number, campaign in await cursor.fetchall()}


async def known_observations(conn: Connection, rows: Sequence[Row]) -> set[tuple[int, bytes]]:
    """Return which of *rows* (recipient_id, occurred_at, key) are stored: (recipient_id, key)."""
    cursor = await conn.execute(SQL["known_observations"], {"rows": as_json(rows)})
    return {(recipient_id, key) for recipient_id, key in await cursor.fetchall()}


async def backed_claims(conn: Connection, rows: Sequence[Row]) -> set[tuple[int, bytes]]:
    """Return which of *rows* proven evidence bears out, as pairs of recipient_id and key."""
    cursor = await conn.execute(SQL["backed_claims"], {"rows": as_json(rows)})
    return {(recipient_id, bytes.fromhex(key)) for recipient_id, key in await cursor.fetchall()}


async def owners_of_messages(conn: Connection, rows: Sequence[Row]) -> list[tuple[int, str]]:
    """
    Return whom the messages of *rows* went to, as far as it is proven.

    *rows* have input_id, received_at, message_id and subscriber ("" where unknown); the answers
    are pairs of input_id and recipient.
    """
    cursor = await conn.execute(SQL["owners_of_messages"], {"rows": as_json(rows)})
    return await cursor.fetchall()


async def known_refs(conn: Connection, keys: Sequence[bytes]) -> list[KnownRef]:
    """Return the stored refs among *keys*."""
    async with conn.cursor(row_factory=class_row(KnownRef)) as cursor:
        await cursor.execute(SQL["known_refs"], {"keys": list(keys)})
        return await cursor.fetchall()


async def bounces_by_id(conn: Connection, ids: Sequence[int]) -> dict[int, Bounce]:
    """Return the bounces *ids* by id, locked until the transaction ends."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL["bounces_by_id"], {"ids": list(ids)})
        return {columns["id"]: _bounce(columns) for columns in await cursor.fetchall()}


def _bounce(columns: Mapping[str, Any]) -> Bounce:
    return Bounce(
        **dict(columns)
        | {
            "type": BounceType(columns["type"]),
            "fault": columns["fault"] and Fault(columns["fault"]),
            "trust": Trust(columns["trust"]),
            "sources": tuple(columns["sources"]),
        }
    )


async def new_bounce_ids(conn: Connection, count: int) -> list[int]:
    """Return *count* numbers that no bounce has."""
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(SQL["new_bounce_ids"], {"count": count})
        return await cursor.fetchall()


async def put_bounces(conn: Connection, rows: Sequence[Row], replaced: Sequence[int]) -> None:
    """Write *rows* in the place of the bounces *replaced*."""
    if replaced:
        await conn.execute(SQL["delete_bounces"], {"ids": list(replaced)})
    await conn.execute(SQL["add_bounces"], {"rows": as_json(rows)})


async def move_into(conn: Connection, bounce_id: int, ids: Sequence[int]) -> None:
    """Let what belongs to the bounces *ids* belong to *bounce_id*."""
    args = {"into": bounce_id, "ids": list(ids)}
    await conn.execute(SQL["move_refs"], args)
    await conn.execute(SQL["move_observations"], args)


async def put_refs(conn: Connection, rows: Sequence[Row], replaced: Sequence[bytes]) -> bool:
    """
    Write *rows* in the place of the refs *replaced*.

    Return whether all could be written: another recorder may have been first with one.
    """
    if replaced:
        await conn.execute(SQL["delete_refs"], {"keys": list(replaced)})
    cursor = await conn.execute(SQL["add_refs"], {"rows": as_json(rows)})
    return cursor.rowcount == len(rows)


async def delete_lost_refs(conn: Connection, ids: Sequence[int]) -> int:
    """Delete the refs of those bounces among *ids* that retention dropped; return how many."""
    return (await conn.execute(SQL["delete_lost_refs"], {"ids": list(ids)})).rowcount


async def add_observations(conn: Connection, rows: Sequence[Row]) -> None:
    """Write *rows*; those already there stay as they are."""
    await conn.execute(SQL["add_observations"], {"rows": as_json(rows)})


async def count_recipients(conn: Connection, rows: Sequence[Row]) -> None:
    """Add the numbers in *rows* to the counts of the recipients."""
    await conn.execute(SQL["count_recipients"], {"rows": as_json(rows)})
