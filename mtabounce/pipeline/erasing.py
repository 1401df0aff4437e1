"""An address leaves every table and file; a keyed hash of it keeps it suppressed."""

import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from psycopg import Connection

from mtabounce.pipeline.traces import MARK, Traces
from mtabounce.store import erasure as store

_LONG = timedelta(hours=2)  # for one statement that looks through a whole table
_ROUNDS = 3  # a worker may be at it just now
Inputs = Iterable[tuple[int, bytes]]
Watched = Callable[[Inputs], Inputs]


@dataclass(slots=True)
class Erased:
    """What went, by table; and files on disk."""

    rows: Counter[str] = field(default_factory=Counter)
    redacted: Counter[str] = field(default_factory=Counter)  # rows about others that named it
    files: list[str] = field(default_factory=list)  # that were deleted
    waiting: list[str] = field(default_factory=list)  # files that a worker is to read first


def erase(
    conn: Connection[Any], address: str, spool: Path, watched: Watched = iter, *, forget: bool
) -> Erased:
    """
    Erase *address*, normalized, from the database and from the folder *spool*.

    *watched* is given the inputs that are looked through, and gives them back. *conn* is in
    autocommit mode. With *forget* no hash stays: it is no longer suppressed, and what is reported
    about it later is kept, as about any other.
    """
    traces, done = Traces(address), Erased()
    store.wait_long(conn, _LONG)
    for _ in range(_ROUNDS):
        gone = store.erase_rows(conn, address, forget=forget)
        done.rows += gone
        if not gone:
            break
    found = _naming(watched(store.contents(conn)), traces)
    store.empty(conn, found)
    done.redacted["log_files"] += _clean_log_states(conn, traces)
    done.rows["inputs"] += len(found)
    refused = _naming(store.refusals(conn), traces)
    store.delete_refusals(conn, refused)
    done.rows["webhook_refusals"] += len(refused)
    done.redacted += store.redact(conn, traces.pattern, MARK)
    _clean_spool(spool, traces, done)
    return done


def named_in_inputs(conn: Connection[Any], address: str) -> list[int]:
    """Return the inputs whose bytes name *address*; all that are kept are looked through."""
    return _naming(store.contents(conn), Traces(address))


def _naming(contents: Inputs, traces: Traces) -> list[int]:
    return [number for number, content in contents if traces.are_in(content)]


def _clean_log_states(conn: Connection[Any], traces: Traces) -> int:
    """Take the address out of what is noted of logs; return how many notes it was in."""
    count = 0
    for number, state in store.log_states(conn):
        with suppress(zlib.error):
            text = zlib.decompress(state)
            clean = traces.without(text)
            if clean != text:
                store.put_log_state(conn, number, state, zlib.compress(clean, 1))
                count += 1
    for number, end in store.log_ends(conn):
        if traces.are_in(end) or traces.are_cut_in(end):
            store.forget_log_end(conn, number, end)
            count += 1
    return count


def _clean_spool(folder: Path, traces: Traces, done: Erased) -> None:
    """Delete damaged files that name it; others are read soon, and emptied then."""
    for path in _files(folder):
        try:
            if not traces.are_in(path.read_bytes()):
                continue
            if path.suffix == ".damaged":
                path.unlink()
                done.files.append(path.name)
            else:
                done.waiting.append(path.name)
        except FileNotFoundError:  # it was handed on meanwhile
            continue


def _files(folder: Path) -> Iterable[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
