"""Lists of addresses in files: read line by line, and written as others read them."""

import codecs
import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import click

from mtabounce.address import is_address, normalize
from mtabounce.errors import UsageError
from mtabounce.policy import EVERYWHERE
from mtabounce.policy.scopes import scope_key
from mtabounce.store.suppressions import Suppressed
from mtabounce.store.text import clean_text

_ADDRESS_COLUMNS = ("recipient", "email", "address", "e-mail", "email address", "email_address")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would calculate
_COLUMNS = ("recipient", "type", "reason", "cause", "scope", "action", "since", "until")
_LONGEST = 40_000  # bytes of a line
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # as spreadsheets write "Unicode text"
_AS_UTF8 = "save the file as UTF-8, and import it again"
_WANTED = "write one address a line, or begin with a line of names, as email,reason"
_TEXT = "recipient is suppressed by mtabounce"


@dataclass(frozen=True, slots=True)
class Listed:
    """An address of a file."""

    line: int
    recipient: str  # normalized
    why: str = ""
    scope: str = EVERYWHERE
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """A line of a file that cannot be used, and why."""

    line: int
    why: str


def read_list(file: BinaryIO, now: datetime) -> Iterator[Listed | Broken]:
    """
    Give the addresses of *file*: one a line, or CSV with a header that names its columns.

    Known columns are recipient (or email, address), reason, scope and until. Each line is taken
    alone, so that an open quote breaks one line only. Empty lines and those after "#" are left out.
    """
    columns: list[str] | None = None
    delimiter = ","
    for number, raw in enumerate(_lines(file), 1):
        if len(raw) > _LONGEST:
            yield Broken(number, f"longer than {_LONGEST} bytes")
            continue
        if number == 1 and raw.startswith(_UTF16):
            yield Broken(number, f"is UTF-16: {_AS_UTF8}")
            return
        try:
            line = clean_text(raw.decode("utf-8-sig").strip("\r\n\x00 "))
        except UnicodeDecodeError:
            yield Broken(number, f"is not UTF-8: {_AS_UTF8}")
            continue
        if not line or line.startswith("#"):
            continue
        if columns is None:
            delimiter = max(",;\t", key=line.count)
            columns = _header(line, delimiter)
            if columns != ["recipient"] or line.lower() in _ADDRESS_COLUMNS:
                continue
        yield _listed(number, line, columns, delimiter, now)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Give the lines of *file*, and of one that is too long its first bytes."""
    while line := file.readline(_LONGEST + 1):
        yield line
        while line and not line.endswith(b"\n"):
            line = file.readline(_LONGEST)


def _header(line: str, delimiter: str) -> list[str]:
    """Return the columns that *line* names; where it names none, it is an address itself."""
    names = [name.strip(' "').lower() for name in line.split(delimiter)]
    if not any(name in _ADDRESS_COLUMNS for name in names):
        return ["recipient"]
    return ["recipient" if name in _ADDRESS_COLUMNS else name for name in names]


def _listed(
    number: int, line: str, columns: Sequence[str], delimiter: str, now: datetime
) -> Listed | Broken:
    try:
        cells = [line]
        if columns != ["recipient"] or not is_address(line):  # one may be in quotes of its own
            (cells,) = csv.reader([line], delimiter=delimiter)
        if any(cell.strip() for cell in cells[len(columns) :]):
            return Broken(number, f"{len(cells)} cells: {_WANTED}")
        told = dict(zip(columns, map(_unquoted, cells), strict=False))
        return Listed(
            line=number,
            recipient=normalize(told.get("recipient", "")),
            why=told.get("reason", ""),
            scope=scope_key(told.get("scope", "") or EVERYWHERE),
            until=_end(told.get("until", ""), now),
        )
    except (ValueError, OverflowError, csv.Error) as error:
        return Broken(number, str(error))


def _end(text: str, now: datetime) -> datetime | None:
    if not text:
        return None
    try:
        until = datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise ValueError(f"until {text!r}: write a day, as 2027-01-31") from None
    if until <= now:
        raise ValueError(f"until {until:%Y-%m-%d}: that is over")
    return until


def _unquoted(cell: str) -> str:
    """Return *cell* without the mark that an export puts before what looks like a formula."""
    cell = cell.strip()
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell


def as_csv(rows: Iterable[Suppressed]) -> Iterator[str]:
    """Give *rows* as CSV (RFC 4180); what a spreadsheet would calculate is marked as text."""
    yield _csv_line(_COLUMNS)
    for row in rows:
        yield _csv_line([_safe(_shown(getattr(row, name))) for name in _COLUMNS])


def as_json_lines(rows: Iterable[Suppressed]) -> Iterator[str]:
    """Give *rows* as one JSON object a line."""
    for row in rows:
        yield json.dumps(asdict(row), default=datetime.isoformat, ensure_ascii=False) + "\n"


def as_postfix_access(rows: Iterable[Suppressed]) -> Iterator[str]:
    """Give *rows* as an access(5) table for check_recipient_access, to be read by postmap(1)."""
    for row in _for_servers(rows):
        yield f"{row.recipient} 550 5.7.1 {_TEXT}: {_why(row)}\n"


def as_postfix_transport(rows: Iterable[Suppressed]) -> Iterator[str]:
    """Give *rows* as a transport(5) table, to be read by postmap(1)."""
    for row in _for_servers(rows):
        yield f"{row.recipient} error:5.7.1 {_TEXT}: {_why(row)}\n"


def as_exim(rows: Iterable[Suppressed]) -> Iterator[str]:
    """Give *rows* as a file for Exim's lsearch, or exim_dbmbuild."""
    for row in _for_servers(rows):
        yield f'"{row.recipient}": {_TEXT}: {_why(row)}\n'


FORMATS: dict[str, Callable[[Iterable[Suppressed]], Iterator[str]]] = {
    "csv": as_csv,
    "json": as_json_lines,
    "postfix": as_postfix_access,
    "postfix-transport": as_postfix_transport,
    "exim": as_exim,
}
FOR_SERVERS = {"postfix", "postfix-transport", "exim"}


def _for_servers(rows: Iterable[Suppressed]) -> Iterator[Suppressed]:
    """Leave out the few addresses that the files of mail servers have no way to write; say so."""
    left_out = 0
    for row in rows:
        if any(sign in row.recipient for sign in ' "\\#'):
            left_out += 1
        else:
            yield row
    if left_out:
        click.echo(f"Left out, as this format has no way to write them: {left_out}", err=True)


def _why(row: Suppressed) -> str:
    reason = row.reason if row.type else "added by an operator"
    until = f" until {row.until:%Y-%m-%d}" if row.until else ""
    return f"{reason} since {row.since:%Y-%m-%d}{until}"


def _csv_line(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _shown(value: object) -> str:
    if value is None:
        return ""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def replace_file(path: Path, lines: Iterable[str]) -> None:
    """
    Write *lines* to a file beside *path*, and put it in its place.

    Raises UsageError where it cannot be written.
    """
    beside = path.with_name(f".{path.name}.new")
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise UsageError(f"cannot write {path}: {error.strerror}") from None
