"""``mtabounce webhook list``: the providers that there are."""

import click

from mtabounce.model import API
from mtabounce.providers import discover, provider


@click.command()
def command() -> None:
    """
    List the providers whose webhooks are understood.

    \b
    Example:
      mtabounce webhook list
    """
    for name in discover():
        if name == API:
            continue  # what is posted to /webhooks/bounce
        click.echo(f"{name:<14} {provider(name).title}")
