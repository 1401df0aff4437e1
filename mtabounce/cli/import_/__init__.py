"""``mtabounce import``: what was there before mtabounce was; one module for each command."""

import click

from mtabounce.cli._modules import Modules


@click.group(cls=Modules, package=__name__)
def command() -> None:
    """
    Read old logs and mailboxes. What is in the database already is not counted again.

    \b
    Example:
      mtabounce import logs /var/log/mail.log.*
    """
