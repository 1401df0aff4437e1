"""``mtabounce suppressions export``: suppressions for others."""

import sys
from pathlib import Path

import click

from mtabounce.cli._database import connected
from mtabounce.cli.suppressions._lists import FOR_SERVERS, FORMATS, replace_file
from mtabounce.cli.suppressions._parts import Scope
from mtabounce.policy import EVERYWHERE
from mtabounce.store import suppressions as store


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    default="csv",
    show_default=True,
    help="csv, json (a line each), a table for postmap (access or transport), or for Exim.",
)
@click.option(
    "--scope",
    type=Scope(),
    help="Only this scope: all (what holds for all mail), list:ID or campaign:NAME."
    "  [default: every scope; for mail servers: all]",
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to a file.")
@click.pass_obj
def command(config: Path | None, form: str, scope: str | None, output: Path | None) -> None:
    """
    Write out the suppressions that hold now, for others to read.

    A file is replaced as a whole, so that nobody reads half of it.

    \b
    Example:
      mtabounce suppressions export --format postfix --output /etc/postfix/suppressed
      mtabounce suppressions export > suppressed.csv
    """
    if scope is None and form in FOR_SERVERS:
        scope = EVERYWHERE
    with connected(config) as conn:
        lines = FORMATS[form](store.export_suppressions(conn, scope))
        if output:
            replace_file(output, lines)
        else:
            sys.stdout.writelines(lines)
