"""How commands print: tables and fields for people, JSON lines for programs."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PIPED_WIDTH = 200  # columns, where no terminal says


class Since(click.ParamType[datetime]):
    """A moment: a date, a date and time, or how long ago (30m, 12h, 7d, 4w)."""

    name = "when"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return *value* as an aware datetime; a date without a zone is local time."""
        if isinstance(value, datetime):
            return value
        count, unit = value[:-1], value[-1:]
        try:
            if count.isdecimal() and unit in _UNITS:
                return datetime.now(UTC) - timedelta(**{_UNITS[unit]: int(count)})
            return datetime.fromisoformat(value).astimezone()
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is no time: write 7d, 12h, 2026-11-23 or 2026-11-23T10:00", param, ctx
            )


def print_json(value: Any) -> None:
    """Print *value*, a dataclass or what json knows, as one line of JSON."""
    plain = asdict(value) if hasattr(value, "__dataclass_fields__") else value
    few_letters = not (sys.stdout.encoding or "").lower().startswith("utf")
    click.echo(json.dumps(plain, default=_plain, ensure_ascii=few_letters))


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print *rows* under *columns*; the last column folds, the others are never cut."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        last = index == len(columns) - 1
        table.add_column(column, no_wrap=not last, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_shown(cell)) for cell in row))
    _console().print(table)


def print_fields(fields: Mapping[str, object], indent: int = 0) -> None:
    """Print a name and a value a line, leaving out what is empty."""
    shown = {name: _shown(value) for name, value in fields.items()}
    width = max((len(name) for name, value in shown.items() if value), default=0)
    for name, value in shown.items():
        if value:
            click.echo(f"{' ' * indent}{name:<{width}}  {value}")


class PipedConsole(Console):
    """A console that leaves a pipe that nobody reads to `main`."""

    def on_broken_pipe(self) -> None:
        """Raise what rich met; it would exit with 1 itself."""
        raise


def _console() -> Console:
    console = PipedConsole(highlight=False)
    return console if console.is_terminal else PipedConsole(highlight=False, width=_PIPED_WIDTH)


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)
