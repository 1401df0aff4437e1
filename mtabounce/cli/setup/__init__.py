"""``mtabounce setup``: what has to be changed in a mail server, and the changing of it."""

import click

from mtabounce.cli._modules import Modules


@click.group(cls=Modules, package=__name__)
def command() -> None:
    """
    Let Postfix or Exim hand bounces to mtabounce.

    Without --apply the changes are only shown.

    \b
    Example:
      mtabounce setup postfix --domain bounces.example.org
    """
