"""``mtabounce doctor``: says whether everything is in order."""

import os
import sys
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import click

from mtabounce.cli._output import print_json
from mtabounce.config import ListenAddress
from mtabounce.doctor import Finding, Level, checks, examine

_DNS = 53  # port


class _Server(click.ParamType[ListenAddress]):
    """The IP address of a DNS server, with a port or without."""

    name = "server"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> ListenAddress:
        """Return *value* as an address, the port 53 where it names none."""
        try:
            return _server(str(value))
        except ValueError:
            self.fail(f"{value!r} is no server: write 192.0.2.53 or 127.0.0.1:5353", param, ctx)


def _server(text: str) -> ListenAddress:
    with suppress(ValueError):
        return ListenAddress(str(ip_address(text)), _DNS)
    given = ListenAddress.parse(text)
    return ListenAddress(str(ip_address(given.host)), given.port)


_COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}
_TITLES = [check.title for check in checks()]
_TITLE_WIDTH = max(map(len, _TITLES)) + 2


@click.command(epilog=f"CHECK is one of: {', '.join(_TITLES)}.")
@click.argument("only", nargs=-1, metavar="[CHECK]...", type=click.Choice(_TITLES))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.option(
    "--resolver",
    type=_Server(),
    metavar="IP[:PORT]",
    help="The DNS server to ask.  [default: those of the system]",
)
@click.pass_obj
def command(
    config: Path | None, only: tuple[str, ...], as_json: bool, resolver: ListenAddress | None
) -> None:
    """
    Look whether everything is in order, and say what to do where it is not.

    Without CHECK, makes all checks. Changes nothing. Exits 78 if anything fails; a warning is no
    failure.

    \b
    Example:
      mtabounce doctor
      mtabounce doctor return-path ports
      mtabounce doctor --json | jq 'select(.level != "ok")'
    """
    levels = set()
    for finding in examine(config, resolver, only):
        levels.add(finding.level)
        if as_json:
            print_json(finding)
        else:
            _print(finding)
    if Level.FAIL in levels:
        sys.exit(os.EX_CONFIG)


def _print(finding: Finding) -> None:
    level = click.style(f"{finding.level:<4}", fg=_COLOURS[finding.level])
    click.echo(f"{level}  {finding.check:<{_TITLE_WIDTH}}{finding.text}")
    if finding.mend:
        click.echo(f"{'':<{6 + _TITLE_WIDTH}}→ {finding.mend}")
