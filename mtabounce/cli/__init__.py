"""
The command line: a command a module.

A module of this folder declares ``command``; its name, with dashes for underscores, is what the
user types; import_ is import, which Python keeps for itself. Modules are imported when they are
called, so that a command starts quickly.
"""

import os
import sys
from importlib import import_module
from keyword import iskeyword
from pathlib import Path
from pkgutil import iter_modules
from typing import NoReturn

import click

from mtabounce import __version__
from mtabounce.errors import MtabounceError


class _Commands(click.Group):
    """The group whose commands are the modules of this folder."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, sorted."""
        del ctx
        names = [module.name for module in iter_modules(__path__)]
        return sorted(
            name.rstrip("_").replace("_", "-") for name in names if not name.startswith("_")
        )

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command *cmd_name*; None where there is none."""
        if cmd_name not in self.list_commands(ctx):
            return None
        name = cmd_name.replace("-", "_")
        module = import_module(f"{__name__}.{name}{'_' if iskeyword(name) else ''}")
        found: click.Command = module.command
        return found


@click.group(
    cls=_Commands,
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
