"""``mtabounce webhook``: what ESPs post; one module for each command."""

import click

from mtabounce.cli._modules import Modules


@click.group(cls=Modules, package=__name__)
def command() -> None:
    """
    Set up, read and test the webhooks of ESPs.

    \b
    Example:
      mtabounce webhook doctor postmark
      mtabounce webhook send-test postmark
    """
