"""``mtabounce outbox``: what others are told, and what they did not take."""

from collections.abc import Sequence
from pathlib import Path

import click

from mtabounce.cli._database import connected
from mtabounce.cli._output import print_json, print_table
from mtabounce.errors import UsageError
from mtabounce.settings import load_settings
from mtabounce.store import outbox as store


@click.group()
def command() -> None:
    """
    Show what the sinks of the configuration are told, and what they did not take.

    \b
    Example:
      mtabounce outbox list --state dead
      mtabounce outbox retry
    """


@command.command("list")
@click.option("--state", type=click.Choice(["pending", "sent", "dead"]), help="Only these.")
@click.option("--sink", help="Only those for this sink.")
@click.option(
    "--limit", type=click.IntRange(1), default=50, show_default=True, help="How many at most."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.pass_obj
def list_(
    config: Path | None, state: str | None, sink: str | None, limit: int, as_json: bool
) -> None:
    """
    List messages, the latest first.

    \b
    Example:
      mtabounce outbox list --state dead
    """
    with connected(config) as conn:
        found = store.list_outbox(conn, state=state, sink=sink, limit=limit)
    if as_json:
        for one in found:
            print_json(one)
        return
    print_table(
        ("ID", "WRITTEN", "SINK", "EVENT", "RECIPIENT", "STATE", "ATTEMPTS", "NEXT", "ERROR"),
        [
            (one.id, one.created_at, one.sink, one.event, one.recipient, one.state, one.attempts,
             one.next_at if one.state == "pending" else None, one.error)
            for one in found
        ],
    )  # fmt: skip


@command.command()
@click.argument("numbers", type=int, nargs=-1, metavar="[ID]...")
@click.pass_obj
def retry(config: Path | None, numbers: Sequence[int]) -> None:
    """
    Try dead messages again: those with the numbers ID, or all.

    A message is dead once the other side has not taken it for a day. It stays dead where the sink
    has since been told something newer about the same address.

    \b
    Example:
      mtabounce outbox retry
    """
    with connected(config) as conn:
        tried, left = store.retry(conn, list(numbers) or None)
    click.echo(
        f"{tried} are tried again." + (f" {left} stay: overtaken by later ones." * bool(left))
    )
    if (others := len(set(numbers)) - tried - left) > 0:
        raise UsageError(f"{others} of the numbers are no dead messages: see mtabounce outbox list")


@command.command()
@click.argument("sink")
@click.pass_obj
def forget(config: Path | None, sink: str) -> None:
    """
    Drop what waits for a sink that no configuration has any more.

    Take it out of the configuration first: a daemon that still has it brings it back.

    \b
    Example:
      mtabounce outbox forget old-crm
    """
    if sink in {one.title for one in load_settings(config).sink}:
        raise UsageError(f"{sink} is in the configuration, and waits for its messages: take it out")
    with connected(config) as conn:
        if not store.forget_sink(conn, sink):
            raise UsageError(f"{sink}: there is no such sink; see mtabounce outbox list")
    click.echo(f"{sink} is forgotten.")
