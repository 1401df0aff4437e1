"""The options that commands share: those of all lists, and how some are given in one go."""

from collections.abc import Callable
from typing import Any

import click

from mtabounce.cli._output import Since

Command = Callable[..., Any]


def listed(since: str, *, limit: int = 50) -> Callable[[Command], Command]:
    """Give a list --since, with *since* as its help, --limit, and --json (as_json)."""
    return with_options(
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


def of_recipients(reason: str) -> Callable[[Command], Command]:
    """Give a list --recipient, --domain and --reason, of which *reason* is an example."""
    return with_options(
        click.option("--recipient", help="Only those of this address."),
        click.option("--domain", help="Only those of addresses in this domain."),
        click.option("--reason", help=f"Only those of this reason, such as {reason}."),
    )


def with_options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Give a command *options*, which its help then names in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate
