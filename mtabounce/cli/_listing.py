"""The options that all lists share."""

from collections.abc import Callable
from typing import Any

import click

from mtabounce.cli._output import Since

_Command = Callable[..., Any]


def listed(since: str, *, limit: int = 50) -> Callable[[_Command], _Command]:
    """Give a list --since, with *since* as its help, --limit, and --json (as_json)."""
    return _with(
        click.option("--since", type=Since(), help=f"{since}: 7d, 12h, 2026-11-23."),
        click.option(
            "--limit",
            type=click.IntRange(1),
            default=limit,
            show_default=True,
            help="How many at most.",
        ),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line."),
    )


def of_recipients(reason: str) -> Callable[[_Command], _Command]:
    """Give a list --recipient, --domain and --reason, of which *reason* is an example."""
    return _with(
        click.option("--recipient", help="Only those of this address."),
        click.option("--domain", help="Only those of addresses in this domain."),
        click.option("--reason", help=f"Only those of this reason, such as {reason}."),
    )


def _with(*options: Callable[[_Command], _Command]) -> Callable[[_Command], _Command]:
    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate
