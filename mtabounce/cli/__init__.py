"""
The command line: one module for each command.

A module of this folder declares ``command``, and is imported when that is called, so that a command
starts quickly.
"""

import errno
import os
import select
import signal
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NoReturn

import click

from mtabounce import __version__
from mtabounce.cli._modules import Modules
from mtabounce.errors import MtabounceError

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class _NobodyReads(Exception):
    """What reads our output, such as head, has enough of it."""


class _Commands(Modules):
    """All commands; of a pipe that nobody reads, click itself would make a failure."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Raises _NobodyReads where it cannot print all that it has to say."""
        try:
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()
        except BrokenPipeError as error:
            if not _is_printed_in_vain():
                raise RuntimeError("a connection broke, and nobody took care of it") from error
            raise _NobodyReads from error


@click.group(
    cls=_Commands,
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
    """
    Run the command line and exit as sysexits(3) says: 78 for a wrong configuration.

    As of any program, the status is 130 after Ctrl-C, and 141 where nobody reads its output.
    """
    status = 0
    _make_writable()
    try:
        status = mtabounce(standalone_mode=False)  # what ctx.exit() was given, or None
    except MtabounceError as error:
        _leave("\n".join(f"mtabounce: {line}" for line in str(error).splitlines()), error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(os.EX_USAGE if isinstance(error, click.UsageError) else error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _leave("mtabounce: interrupted", 130)
    except _NobodyReads:
        _forget_output()
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:
        if error.errno not in _DISK_FULL:
            raise
        _forget_output()
        _leave(f"mtabounce: not all is done: {error.strerror}", os.EX_IOERR)
    sys.exit(status)


def _make_writable() -> None:
    """Let standard output take any letter, also where it is closed, or a terminal of few."""
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 (it stays open)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _forget_output() -> None:
    """Let what is still to be written not fail again at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _is_printed_in_vain() -> bool:
    poll = select.poll()
    for stream in (1, 2):  # a closed one is no error here
        poll.register(stream, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _leave(message: str, status: int) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(status)
