"""``mtabounce suppressions add``: an operator suppresses."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from mtabounce.cli._asking import Length
from mtabounce.cli._saying import say_all
from mtabounce.cli.suppressions._parts import Scope, normal
from mtabounce.pipeline.words import Word
from mtabounce.policy import EVERYWHERE


@click.command()
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")
@click.option("--why", default="", help="Why, in your words; it is kept and shown.")
@click.option("--for", "lasts", type=Length(), help="For how long: 30d, 12h.  [default: for good]")
@click.option(
    "--scope",
    type=Scope(),
    default=EVERYWHERE,
    show_default=True,
    help="all, list:ID or campaign:NAME.",
)
@click.pass_obj
def command(
    config: Path | None, addresses: Sequence[str], why: str, lasts: timedelta | None, scope: str
) -> None:
    """
    Suppress addresses, whatever policy says.

    \b
    Example:
      mtabounce suppressions add ann@example.org --why "asked by phone"
    """
    until = datetime.now(UTC) + lasts if lasts is not None else None
    words = [
        Word(recipient=normal(one), action="add", why=why, scope=scope, until=until)
        for one in addresses
    ]
    say_all(config, words)
    click.echo(f"{len(words)} suppressed.")
