"""
The command line: one module for each command.

A module of this folder declares ``command``, and is imported when that is called, so that a command
starts quickly.
"""

import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from mtabounce import __version__
from mtabounce.cli._modules import Modules
from mtabounce.errors import MtabounceError


@click.group(
    cls=Modules,
    package=__name__,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__)
@click.option(
    "--config",
    "config",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="MTABOUNCE_CONFIG",
    help="The configuration file.  [default: ./mtabounce.toml, then /etc/mtabounce/mtabounce.toml]",
)
@click.pass_context
def mtabounce(ctx: click.Context, config: Path | None) -> None:
    """Turn every sign of an undelivered mail into an explained row in PostgreSQL."""
    ctx.obj = config


def main() -> NoReturn:
    """Run the command line and exit as sysexits(3) says: 78 for a wrong configuration."""
    status = 0
    try:
        status = mtabounce(standalone_mode=False)  # what ctx.exit() was given, or None
    except MtabounceError as error:
        _leave("\n".join(f"mtabounce: {line}" for line in str(error).splitlines()), error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(os.EX_USAGE if isinstance(error, click.UsageError) else error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _leave("mtabounce: interrupted", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    sys.exit(status)


def _leave(message: str, status: int) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(status)
