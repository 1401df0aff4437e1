"""``mtabounce webhook``: what ESPs post: a command a module."""

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
