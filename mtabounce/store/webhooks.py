"""Webhooks: what was taken and refused, for the operator who asks why nothing arrives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection, Connection
from psycopg.rows import class_row, scalar_row

from mtabounce.store.rows import Row, as_json
from mtabounce.store.statements import statements

SQL = statements("webhooks")
MOST = 100  # refused requests that are kept of each webhook
MOST_OCTETS = 8 * 2**20  # of their bodies


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A request that was refused."""

    webhook: str
    refused_at: datetime
    status: int  # of HTTP
    why: str
    peer: str
    headers: Mapping[str, str]  # without passwords and tokens
    body: bytes  # or its beginning
    size: int  # octets that the body had
    id: int = 0  # 0: it is not written yet


@dataclass(frozen=True, slots=True)
class Counts:
    """What one webhook took and refused, in all."""

    webhook: str
    accepted: int = 0
    accepted_at: datetime | None = None
    refused: int = 0
    refused_at: datetime | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """A request that was taken, and of which not all could be read."""

    id: int  # of the input
    received_at: datetime
    error: str


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature that leaves out the body, and the body that it came with, as hashes."""

    input_id: int
    mark: bytes
    body: bytes


async def note(
    conn: AsyncConnection[Any], counts: Sequence[Row], refusals: Sequence[Refusal]
) -> None:
    """Add *counts* to what there is, and keep *refusals*: all or nothing."""
    rows = [
        {
            "webhook": one.webhook,
            "refused_at": one.refused_at,
            "status": one.status,
            "why": one.why,
            "peer": one.peer,
            "headers": one.headers,
            "size": one.size,
        }
        for one in refusals
    ]
    async with conn.transaction():
        await conn.execute(SQL["note"], {"rows": as_json(counts)})
        if rows:
            bodies = [one.body for one in refusals]
            await conn.execute(SQL["keep"], {"rows": as_json(rows), "bodies": bodies})
            await conn.execute(SQL["prune"], {"most": MOST, "octets": MOST_OCTETS})


async def use(conn: AsyncConnection[Any], signatures: Sequence[Signature]) -> None:
    """Let each of *signatures* that is new be good for its body, and no other from now on."""
    await conn.execute(SQL["use_signatures"], _signatures(signatures))


async def used(conn: AsyncConnection[Any], signatures: Sequence[Signature]) -> set[int]:
    """Return the inputs among *signatures* whose signature is good for another body."""
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(SQL["used_signatures"], _signatures(signatures))
        return set(await cursor.fetchall())


def _signatures(signatures: Sequence[Signature]) -> dict[str, Any]:
    return {
        "ids": [one.input_id for one in signatures],
        "marks": [one.mark for one in signatures],
        "bodies": [one.body for one in signatures],
    }


def counts(conn: Connection[Any]) -> dict[str, Counts]:
    """Return what each webhook took and refused, by its name."""
    with conn.cursor(row_factory=class_row(Counts)) as cursor:
        return {one.webhook: one for one in cursor.execute(SQL["counts"])}


def refusals(
    conn: Connection[Any], webhook: str, limit: int, number: int | None = None
) -> list[Refusal]:
    """Return the latest refused requests of *webhook*, or the one with *number*."""
    args = {"webhook": webhook, "limit": limit, "id": number}
    with conn.cursor(row_factory=class_row(Refusal)) as cursor:
        return cursor.execute(SQL["refusals"], args).fetchall()


def forget(conn: Connection[Any], number: int) -> None:
    """Forget the refused request *number*."""
    conn.execute(SQL["forget"], {"id": number})


def not_understood(conn: Connection[Any], webhook: str, limit: int) -> list[NotUnderstood]:
    """Return the latest requests to *webhook* of which not all could be read."""
    with conn.cursor(row_factory=class_row(NotUnderstood)) as cursor:
        return cursor.execute(
            SQL["not_understood"], {"webhook": webhook, "limit": limit}
        ).fetchall()
