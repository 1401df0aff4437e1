"""``mtabounce suppressions remove``: an operator forgives."""

from collections.abc import Sequence
from pathlib import Path

import click

from mtabounce.cli._database import connected
from mtabounce.cli._saying import say_all
from mtabounce.cli.suppressions._parts import normal
from mtabounce.pipeline.words import Word
from mtabounce.store import suppressions as store


@click.command()
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")
@click.option("--why", default="", help="Why, in your words; it is kept and shown.")
@click.pass_obj
def command(config: Path | None, addresses: Sequence[str], why: str) -> None:
    """
    Mail addresses again: all that happened to them before is forgiven, and does not count.

    \b
    Example:
      mtabounce suppressions remove ann@example.org --why "mailbox works again"
    """
    recipients = [normal(one) for one in addresses]
    with connected(config) as conn:
        known = {one.recipient for one in store.check_addresses(conn, recipients)}
    for one in recipients:
        if one not in known:
            click.echo(f"{one} is not suppressed.", err=True)
    words = [Word(recipient=one, action="remove", why=why) for one in recipients if one in known]
    say_all(config, words)
    click.echo(f"{len(words)} removed.")
