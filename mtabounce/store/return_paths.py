"""Signed return paths: what they were made for, and the keys that SQL signs with."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection, Connection
from psycopg.rows import class_row, scalar_row

from mtabounce.store.rows import Row, as_json
from mtabounce.store.statements import statements
from mtabounce.verp import Keyring, pads

SQL = statements("return_paths")


@dataclass(frozen=True, slots=True)
class MadeFor:
    """Whom and what a return path was made for."""

    id: int
    recipient: str  # in lower case
    campaign: str  # "": none was named


def id_for(conn: Connection[Any], recipient: str, campaign: str) -> int:
    """Return the number of the return path for *recipient* and *campaign*, noting a new one."""
    with conn.cursor(row_factory=scalar_row) as cursor:
        cursor.execute(SQL["id_for"], {"recipient": recipient, "campaign": campaign})
        number: int = cursor.fetchone() or 0
        return number


async def sign(
    conn: AsyncConnection[Any], emails: Collection[str], campaign: str
) -> dict[str, str]:
    """
    Return the return path for a mail to each of *emails* (normalized), of *campaign*.

    Raises RaiseException where there is no key, CheckViolation where one is no address.
    """
    args = {"emails": sorted(emails), "campaign": campaign}
    return dict(await (await conn.execute(SQL["sign"], args)).fetchall())


async def made_for(conn: AsyncConnection[Any], ids: Collection[int]) -> dict[int, MadeFor]:
    """Return what the return paths of the numbers *ids* were made for, where it is known."""
    async with conn.cursor(row_factory=class_row(MadeFor)) as cursor:
        await cursor.execute(SQL["made_for"], {"ids": list(ids)})
        return {one.id: one for one in await cursor.fetchall()}


async def used_paths(conn: AsyncConnection[Any], rows: Sequence[Row]) -> set[tuple[int, bytes]]:
    """
    Return which of *rows* (recipient_id, key, input_id, kind, ref) came to a path that was used.

    They are pairs of recipient_id and key.
    """
    cursor = await conn.execute(SQL["used_paths"], {"rows": as_json(rows)})
    return {(recipient_id, bytes.fromhex(key)) for recipient_id, key in await cursor.fetchall()}


def look_up(conn: Connection[Any], number: int) -> MadeFor | None:
    """Return what the return path of *number* was made for; None where that is not known."""
    with conn.cursor(row_factory=class_row(MadeFor)) as cursor:
        return cursor.execute(SQL["made_for"], {"ids": [number]}).fetchone()


def key_ids(conn: Connection[Any]) -> list[str]:
    """Return the ids of the keys that SQL has, the one that signs first."""
    with conn.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(SQL["key_ids"]).fetchall()


def put_keys(conn: Connection[Any], ring: Keyring) -> None:
    """Let SQL sign with the keys of *ring*, and with no other."""
    with conn.transaction():
        conn.execute(SQL["lock_keys"])
        conn.execute(SQL["delete_keys"])
        conn.execute(SQL["add_keys"], {"rows": as_json(_rows(ring))})


def _rows(ring: Keyring) -> list[dict[str, Any]]:
    rows = []
    for place, (key, secret) in enumerate(ring.keys.items()):
        padded = pads(secret)
        row = {"id": key, "domain": ring.domain, "lifetime": ring.lifetime, "signs": place == 0}
        rows.append(row | {"inner_pad": padded.inner, "outer_pad": padded.outer})
    return rows
