"""``mtabounce suppressions``: whom we do not mail; one module for each command."""

import click

from mtabounce.cli._modules import Modules


@click.group(cls=Modules, package=__name__)
def command() -> None:
    """
    Whom not to mail: list, check, add, remove, undo, import, export.

    What is done here is written down in mtabounce.decisions, with your name.

    \b
    Example:
      mtabounce suppressions list --cause hard --since 7d
      mtabounce suppressions undo --rule status-5.1.1 --since 2026-11-23T10:00
    """
