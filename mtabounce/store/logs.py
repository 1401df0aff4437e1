"""What is kept of logs; each function is one statement of sql/logs.sql."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg import Connection as SyncConnection
from psycopg.rows import class_row, dict_row, scalar_row

from mtabounce.logs import Bucket, Delivery, State, Waiting
from mtabounce.store.rows import as_json
from mtabounce.store.statements import statements
from mtabounce.store.text import clean_text

SQL = statements("logs")
Connection = AsyncConnection[Any]
_LONGEST = 255  # characters of a name in the statistics: a key may not hold more
_WAITING = (
    "host", "instance", "queue_id", "final_recipient", "original_recipient", "reverse_path",
    "original_message_id", "status", "diagnostic_code", "command", "remote_mta", "attempts",
    "occurred_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFile:
    """How far one file of a log was read."""

    id: int = 0  # 0: not stored yet
    name: str
    path: str
    reader: str  # tail or import
    device: int
    inode: int
    head: bytes = b""  # digest of the first bytes
    head_length: int = 0  # how many bytes that is of
    position: int = 0  # bytes, uncompressed
    before: bytes = b""  # the last bytes before position
    skipping: bool = False  # position is inside a line that is too long
    finished: bool = False
    state: bytes = b""
    state_position: int = 0
    journal: str = ""
    lines: int = 0
    recognized: int = 0
    deliveries: int = 0
    unreadable: int = 0
    skipped: int = 0
    trouble: str = ""
    updated_at: datetime | None = None


async def log_files(
    conn: Connection, name: str | None = None, *, reader: str | None = None
) -> list[LogFile]:
    """Return the files of the log *name*, or of all logs, by *reader* or any, the oldest first."""
    async with conn.cursor(row_factory=class_row(LogFile)) as cursor:
        await cursor.execute(SQL["log_files"], {"name": name, "reader": reader})
        return [_whole(one) for one in await cursor.fetchall()]


def log_files_sync(conn: SyncConnection[Any]) -> list[LogFile]:
    """Return the files of all logs, the oldest first."""
    with conn.cursor(row_factory=class_row(LogFile)) as cursor:
        found = cursor.execute(SQL["log_files"], {"name": None, "reader": None}).fetchall()
    return [_whole(one) for one in found]


def _whole(row: LogFile) -> LogFile:
    """Return *row*, as it comes, with numbers that are whole: the columns are wider than bigint."""
    return replace(row, device=int(row.device), inode=int(row.inode))


async def own(conn: Connection, name: str) -> bool:
    """Become the one reader of the log *name* until *conn* closes; False: another one is."""
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(SQL["own"], {"name": name})
        return bool(await cursor.fetchone())


async def add_log_file(conn: Connection, file: LogFile) -> LogFile:
    """Begin to keep how far *file* is read; return it with its id."""
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(SQL["add_log_file"], asdict(file))
        return replace(file, id=await cursor.fetchone() or 0)


async def move(conn: Connection, old: LogFile, new: LogFile) -> bool:
    """Note that *old* was read up to *new*; return False where it was not at *old* any more."""
    where = {"old_position": old.position, "old_journal": old.journal}
    cursor = await conn.execute(SQL["move"], asdict(new) | where)
    return cursor.rowcount == 1


async def lock_log_files(conn: Connection) -> None:
    """Let nobody else begin with a file before the transaction ends."""
    await conn.execute(SQL["lock_log_files"])


async def forget_log_file(conn: Connection, file: LogFile) -> LogFile | None:
    """Keep no more how far *file* was read; return that; None: somebody else forgot it before."""
    async with conn.cursor(row_factory=class_row(LogFile)) as cursor:
        await cursor.execute(SQL["forget_log_file"], {"id": file.id})
        last = await cursor.fetchone()
    return None if last is None else _whole(last)


async def keep_state(conn: Connection, file: LogFile) -> None:
    """Keep the state of *file*, and where it was noted."""
    await conn.execute(SQL["keep_state"], asdict(file))


async def waiting(
    conn: Connection, hosts: Sequence[str], queue_ids: Sequence[str]
) -> list[Delivery]:
    """Return who waits in the messages *queue_ids* of *hosts*."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        args = {"hosts": list(hosts), "queue_ids": list(queue_ids)}
        await cursor.execute(SQL["waiting"], args, prepare=False)
        return [
            Delivery(**row, state=State.DEFERRED, reports_itself=row["reverse_path"] == "")
            for row in await cursor.fetchall()
        ]


async def put_waiting(conn: Connection, deliveries: Iterable[Delivery]) -> None:
    """Note that the recipients of *deliveries* wait for another attempt."""
    rows = [
        {name: getattr(one, name) for name in _WAITING}
        | {"first_deferred_at": one.first_deferred_at or one.occurred_at}
        for one in deliveries
    ]
    await conn.execute(SQL["put_waiting"], {"rows": as_json(rows)})


async def settle(conn: Connection, keys: Iterable[Waiting]) -> None:
    """Note that those known by *keys* wait no more."""
    names = ("host", "instance", "queue_id", "final_recipient", "original_recipient")
    rows = [dict(zip(names, key, strict=True)) for key in keys]
    await conn.execute(SQL["settle"], {"rows": as_json(rows)})


async def known_among(conn: Connection, names: str) -> set[str]:
    """Return those of *names*, recipients, one a line, of whom anything is known."""
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(SQL["known_among"], {"names": names}, prepare=False)
        return set(await cursor.fetchall())


async def put_delivered(
    conn: Connection, delivered: Mapping[int, datetime], again: Collection[int]
) -> dict[str, int]:
    """
    Note when mail to recipients, by id, last arrived; their rows are locked.

    Return of whom that tells something new, and of whom of *again* anything bounced.
    """
    rows = [
        {"id": number, "delivered_at": at, "again": number in again}
        for number, at in delivered.items()
    ]
    cursor = await conn.execute(SQL["put_delivered"], {"rows": as_json(rows)})
    return dict(await cursor.fetchall())


async def put_trouble(conn: Connection, name: str, trouble: str) -> None:
    """Note why the log *name* is not read; it is forgotten once it is."""
    await conn.execute(SQL["put_trouble"], {"name": name, "trouble": clean_text(trouble)})


async def count_deliveries(conn: Connection, counts: Mapping[tuple[Bucket, State], int]) -> None:
    """Add *counts* to the statistics."""
    rows: dict[Bucket, dict[str, Any]] = {}
    for (bucket, state), count in counts.items():
        if bucket not in rows:
            hour, *names = bucket
            domain, relay, sender_domain = (name[:_LONGEST] for name in names)
            rows[bucket] = {
                "hour": hour,
                "domain": domain,
                "relay": relay,
                "sender_domain": sender_domain,
                "sent": 0,
                "deferred": 0,
                "bounced": 0,
            }
        rows[bucket][str(state)] = count
    await conn.execute(SQL["count_deliveries"], {"rows": as_json(rows.values())})
