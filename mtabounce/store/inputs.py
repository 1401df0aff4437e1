"""The inbox: raw inputs, appended by sources and claimed by workers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from psycopg import AsyncConnection, Connection
from psycopg.rows import class_row, scalar_row

from mtabounce.model import Outcome, RawInput
from mtabounce.store.rows import as_json
from mtabounce.store.statements import statements

State = Literal["pending", "done", "failed"]
STATES: tuple[State, ...] = get_args(State)
SQL = statements("inputs")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedInput(RawInput):
    """An input that a worker has taken, and holds locked until its transaction ends."""

    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trimmed:
    """What is kept of an input."""

    id: int
    kept: Literal["headers", "none"]
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What became of a claimed input."""

    id: int
    outcome: Outcome | None  # None: it failed
    parser: str = ""
    error: str = ""  # one line; why it failed, or what of it could not be used


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredInput:
    """An input as operators see it, without its content."""

    id: int
    source: str
    reverse_path: str | None
    forward_paths: list[str]
    peer: str
    trusted: bool
    received_at: datetime
    state: str  # pending, done or failed
    outcome: str | None
    parser: str
    error: str
    processed_at: datetime | None
    size: int  # bytes that are kept
    kept: str = "full"  # or headers, or none


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """How much the workers have before them."""

    pending: int
    failed: int
    oldest_pending_at: datetime | None


async def append(conn: AsyncConnection[Any], inputs: Sequence[RawInput]) -> None:
    """Add *inputs* to the inbox. They are durable once the transaction is committed."""
    await conn.execute(SQL["append"], _appended(inputs))


def append_sync(conn: Connection[Any], inputs: Sequence[RawInput]) -> None:
    """Do the same, for commands."""
    conn.execute(SQL["append"], _appended(inputs))


def _appended(inputs: Sequence[RawInput]) -> dict[str, Any]:
    rows = [
        {
            "source": raw.source,
            "reverse_path": raw.reverse_path,
            "forward_paths": list(raw.forward_paths),
            "peer": raw.peer,
            "trusted": raw.trusted,
            "received_at": raw.received_at,
        }
        for raw in inputs
    ]
    return {"rows": as_json(rows), "contents": [raw.content for raw in inputs]}


async def claim(
    conn: AsyncConnection[Any], limit: int, octets: int = 32 * 2**20
) -> list[ClaimedInput]:
    """
    Take up to *limit* pending inputs, oldest first, that no other worker has.

    No more are taken once they have *octets* together.
    """
    async with conn.cursor(row_factory=class_row(ClaimedInput)) as cursor:
        await cursor.execute(SQL["claim"], {"limit": limit, "octets": octets}, binary=True)
        return await cursor.fetchall()


async def trim(conn: AsyncConnection[Any], trimmed: Sequence[Trimmed]) -> None:
    """Keep of inputs what *trimmed* says."""
    rows = [{"id": one.id, "kept": one.kept} for one in trimmed]
    contents = [one.content for one in trimmed]
    await conn.execute(SQL["trim"], {"rows": as_json(rows), "contents": contents})


async def finish(conn: AsyncConnection[Any], finished: Sequence[Finished]) -> None:
    """Write what became of claimed inputs."""
    rows = [
        {
            "id": one.id,
            "state": "failed" if one.outcome is None else "done",
            "outcome": one.outcome,
            "parser": one.parser,
            "error": one.error,
        }
        for one in finished
    ]
    await conn.execute(SQL["finish"], {"rows": as_json(rows)})


def list_inputs(
    conn: Connection[Any],
    *,
    state: str | None = None,
    outcome: str | None = None,
    source: str | None = None,
    since: datetime | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[StoredInput]:
    """Return the newest inputs that fit, of those before id *before*; None leaves a filter out."""
    args = {
        "state": state,
        "outcome": outcome,
        "source": source,
        "since": since,
        "before": before,
        "limit": limit,
    }
    with conn.cursor(row_factory=class_row(StoredInput)) as cursor:
        return cursor.execute(SQL["list_inputs"], args).fetchall()


def get_input(conn: Connection[Any], number: int) -> StoredInput | None:
    """Return input *number*; None where there is none."""
    with conn.cursor(row_factory=class_row(StoredInput)) as cursor:
        return cursor.execute(SQL["get_input"], {"id": number}).fetchone()


def get_content(conn: Connection[Any], number: int) -> bytes | None:
    """Return the bytes of input *number* as received; None where there is none."""
    with conn.cursor(row_factory=scalar_row) as cursor:
        content: bytes | None = cursor.execute(SQL["get_content"], {"id": number}).fetchone()
        return content


def backlog(conn: Connection[Any]) -> Backlog:
    """Return how many inputs wait, and how many failed."""
    with conn.cursor(row_factory=class_row(Backlog)) as cursor:
        found = cursor.execute(SQL["backlog"]).fetchone()
    return found or Backlog(pending=0, failed=0, oldest_pending_at=None)


def undetermined(conn: Connection[Any], since: datetime | None) -> list[tuple[str, int, int]]:
    """Return the words that no rule knew: (words, how often, a bounce that has them)."""
    return conn.execute(SQL["undetermined"], {"since": since}).fetchall()


def unrecognized(
    conn: Connection[Any], since: datetime | None, limit: int
) -> Iterator[tuple[int, bytes]]:
    """Yield the latest inputs that no parser knew: (number, how it begins)."""
    with conn.cursor() as cursor:
        yield from cursor.stream(SQL["unrecognized"], {"since": since, "limit": limit})
