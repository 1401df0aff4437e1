"""What is held about one address, and how it goes: sql/erasure.sql."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, LiteralString

from psycopg import AsyncConnection, Connection, sql
from psycopg.errors import IntegrityError
from psycopg.rows import class_row, scalar_row

from mtabounce.store.statements import statements

SQL = statements("erasure")
_AT_ONCE = 100  # contents


@dataclass(frozen=True, slots=True)
class _Place:
    """A table that holds rows about addresses."""

    table_name: str
    by_id: bool  # by recipients.id; else by the address

    def query(self, template: LiteralString) -> sql.Composed:
        column = sql.SQL("recipient_id = %(id)s" if self.by_id else "recipient = %(recipient)s")
        table = sql.Identifier("mtabounce", self.table_name)
        return sql.SQL(template).format(table, column)


@dataclass(frozen=True, slots=True)
class _Texts:
    """The columns of a table that may hold text about addresses."""

    table_name: str
    columns: list[str]
    types: list[LiteralString]  # as pg_type names them


async def erased_among(conn: AsyncConnection[Any], names: Iterable[str]) -> set[str]:
    """Return those of *names*, normalized addresses, that were erased."""
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(SQL["erased_among"], {"names": sorted(names)})
        return set(await cursor.fetchall())


async def empty_inputs(conn: AsyncConnection[Any], ids: Sequence[int]) -> None:
    """Keep nothing of the bytes and the envelopes of inputs *ids*."""
    await conn.execute(SQL["empty_inputs"], {"ids": list(ids)})


async def live_again(conn: AsyncConnection[Any], names: Sequence[str]) -> None:
    """Forget that *names* were erased: from now on they are addresses as any other."""
    await conn.execute(SQL["live_again"], {"names": list(names)})


def is_erased(conn: Connection[Any], recipient: str) -> bool:
    """Tell whether *recipient*, normalized, was erased."""
    return bool(conn.execute(SQL["erased_among"], {"names": [recipient]}).fetchall())


def wait_long(conn: Connection[Any], limit: timedelta) -> None:
    """Let each statement on *conn* take as long as *limit*: whole tables are looked through."""
    milliseconds = str(limit // timedelta(milliseconds=1))
    conn.execute("SELECT set_config('statement_timeout', %s, false)", [milliseconds])


def count_rows(conn: Connection[Any], recipient: str) -> Counter[str]:
    """Return how many rows are about *recipient*, by table."""
    return Counter({name: len(rows) for name, rows in rows_about(conn, recipient)})


def rows_about(conn: Connection[Any], recipient: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Give the rows about *recipient*, by table; tables without any are left out."""
    args = {"recipient": recipient, "id": _id(conn, recipient)}
    known = conn.execute(SQL["recipient_row"], args).fetchall()
    queries = [
        (place.table_name, place.query("SELECT to_jsonb(t) FROM {} AS t WHERE {}"))
        for place in _places(conn)
    ]
    deferrals = ("pending_deliveries", sql.SQL(SQL["deferrals_of"]).format())
    for name, query in [*queries, deferrals]:
        known_rows = conn.execute(query, args).fetchall()
        if known_rows:
            yield name, [row for (row,) in known_rows]
    if known:
        yield "recipients", [row for (row,) in known]


def inputs_of(conn: Connection[Any], recipient: str) -> list[int]:
    """Return the inputs that said something about *recipient*."""
    args = {"id": _id(conn, recipient)}
    return [number for (number,) in conn.execute(SQL["inputs_of"], args)]


def input_rows(conn: Connection[Any], ids: Sequence[int]) -> list[dict[str, Any]]:
    """Return the rows of inputs *ids* without their bytes."""
    return [row for (row,) in conn.execute(SQL["input_rows"], {"ids": list(ids)})]


def erase_rows(conn: Connection[Any], recipient: str, *, forget: bool) -> Counter[str]:
    """
    Delete the rows about *recipient*, and keep it suppressed by its hash unless *forget*.

    One transaction, in which nobody else can write about it. Return the rows by table.
    """
    args = {"recipient": recipient}
    gone: Counter[str] = Counter()
    with conn.transaction():
        conn.execute(SQL["lock"], args)
        told = inputs_of(conn, recipient)
        conn.execute(SQL["unmark"] if forget else SQL["mark_erased"], args)
        if not forget:
            conn.execute(SQL["keep_suppressed"], args)
        found = args | {"id": _id(conn, recipient)}
        conn.execute(SQL["delete_refs"], found)
        for place in _places(conn):
            gone[place.table_name] = conn.execute(
                place.query("DELETE FROM {} WHERE {}"), found
            ).rowcount
        gone["pending_deliveries"] = conn.execute(SQL["delete_deferrals"], found).rowcount
        gone["recipients"] = conn.execute(SQL["delete_recipient"], found).rowcount
        gone["inputs"] = conn.execute(SQL["empty_inputs"], {"ids": told}).rowcount
    return +gone


def redact(conn: Connection[Any], pattern: str, mark: str) -> Counter[str]:
    """
    Write *mark* wherever a text column of any table matches *pattern*, case ignored.

    Return the rows that were changed, by table.
    """
    changed: Counter[str] = Counter()
    with conn.cursor(row_factory=class_row(_Texts)) as cursor:
        tables = cursor.execute(SQL["text_columns"]).fetchall()
    for one in tables:
        changed[one.table_name] = _redact_table(conn, one, pattern, mark)
    return +changed


def _redact_table(conn: Connection[Any], one: _Texts, pattern: str, mark: str) -> int:
    table = sql.Identifier("mtabounce", one.table_name)
    changes = [
        sql.SQL("{0} = regexp_replace({0}::text, %(pattern)s, %(mark)s, 'gi')::{1}").format(
            sql.Identifier(column),
            sql.SQL(kind),
        )
        for column, kind in zip(one.columns, one.types, strict=True)
    ]
    texts = [sql.SQL("{}::text").format(sql.Identifier(column)) for column in one.columns]
    where = sql.SQL("WHERE concat_ws(' ', {}) ~* %(pattern)s").format(sql.SQL(", ").join(texts))
    args = {"pattern": pattern, "mark": mark}
    update = sql.SQL("UPDATE {} SET {} {}").format(table, sql.SQL(", ").join(changes), where)
    try:
        with conn.transaction():
            return conn.execute(update, args).rowcount
    except IntegrityError:  # rows that are the same but for the address, or need one
        return conn.execute(sql.SQL("DELETE FROM {} {}").format(table, where), args).rowcount


def contents(conn: Connection[Any]) -> Iterator[tuple[int, bytes]]:
    """Give all inputs of which bytes are kept, in order: number and bytes."""
    after = 0
    while rows := conn.execute(
        SQL["contents"], {"after": after, "limit": _AT_ONCE}, binary=True
    ).fetchall():
        yield from rows
        after = rows[-1][0]


def count_contents(conn: Connection[Any]) -> int:
    """Return how many inputs contents() gives."""
    with conn.cursor(row_factory=scalar_row) as cursor:
        return int(cursor.execute(SQL["count_contents"]).fetchone() or 0)


def empty(conn: Connection[Any], ids: Sequence[int]) -> None:
    """Keep nothing of inputs *ids*; those that wait for a worker are emptied when it is done."""
    waiting = {number for (number,) in conn.execute(SQL["empty_once_read"], {"ids": list(ids)})}
    conn.execute(SQL["empty_inputs"], {"ids": sorted(set(ids) - waiting)})


def log_states(conn: Connection[Any]) -> list[tuple[int, bytes]]:
    """Return the notes of messages that are under way, of each log: its number, and the bytes."""
    return conn.execute(SQL["log_states"], binary=True).fetchall()


def put_log_state(conn: Connection[Any], number: int, old: bytes, new: bytes) -> None:
    """Write *new* over *old* for a log; what its reader wrote meanwhile stays."""
    conn.execute(SQL["put_log_state"], {"id": number, "old": old, "new": new})


def log_ends(conn: Connection[Any]) -> list[tuple[int, bytes]]:
    """Return the last bytes that were read of each log: its number, and the bytes."""
    return conn.execute(SQL["log_ends"], binary=True).fetchall()


def forget_log_end(conn: Connection[Any], number: int, old: bytes) -> None:
    """Keep nothing of the last bytes *old* of a log, unless its reader is further now."""
    conn.execute(SQL["forget_log_end"], {"id": number, "old": old})


def refusals(conn: Connection[Any]) -> list[tuple[int, bytes]]:
    """Return all refused requests that are kept: number and body."""
    return conn.execute(SQL["refusals"], binary=True).fetchall()


def delete_refusals(conn: Connection[Any], ids: Sequence[int]) -> None:
    """Delete refused requests *ids*."""
    conn.execute(SQL["delete_refusals"], {"ids": list(ids)})


def _places(conn: Connection[Any]) -> list[_Place]:
    with conn.cursor(row_factory=class_row(_Place)) as cursor:
        return cursor.execute(SQL["rows_of"]).fetchall()


def _id(conn: Connection[Any], recipient: str) -> int | None:
    found = conn.execute(SQL["id_of"], {"recipient": recipient}).fetchone()
    return found[0] if found else None
