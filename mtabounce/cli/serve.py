"""``mtabounce serve``: the daemon."""

import logging
import shutil
import sys
from pathlib import Path

import click

from mtabounce import __version__, daemon
from mtabounce.assembly import check_rules
from mtabounce.settings import load_settings

_NEWS = ("mtabounce.reload", "mtabounce.sources.poller")  # few, and somebody waits for them
_QUERY = "SELECT recipient, type, reason FROM mtabounce.bounces"


@click.command()
@click.option("--verbose", is_flag=True, help="Log what the parts do, not only what goes wrong.")
@click.pass_context
def command(ctx: click.Context, verbose: bool) -> None:
    """
    Receive bounces, read them and serve HTTP, until SIGTERM or Ctrl-C.

    Without a configuration it starts its own PostgreSQL, takes mail on 127.0.0.1:2525 and HTTP
    on 127.0.0.1:9000. SIGHUP reads rules, header names, keys, webhooks and
    certificates again.

    \b
    Example:
      mtabounce serve
      mtabounce --config /etc/mtabounce/mtabounce.toml serve
    """
    log_to_stderr(verbose=verbose)
    config: Path | None = ctx.obj
    settings = load_settings(config)
    check_rules(settings.rules)  # else each judging process would stumble, again and again
    daemon.serve(settings, config, lambda where: _announce(where, config))


def log_to_stderr(*, verbose: bool) -> None:
    """Log warnings, or with *verbose* all news, to standard error."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    for name in _NEWS:
        logging.getLogger(name).setLevel(logging.INFO)


def _announce(where: daemon.Listening, config: Path | None) -> None:
    name = _own_name() + (f" --config {config}" if config else "")
    click.echo(f"mtabounce {__version__} is ready.")
    for address in where.mail:
        click.echo(f"  mail      {address}")
    click.echo(f"  http      {where.http}")
    click.echo(f"  database  {name} db url")
    click.echo("Three commands to try, in another terminal:")
    click.echo(f"  {name} simulate")
    click.echo(f"  {name} bounces list")
    click.echo(f'  psql "$({name} db url)" -c "{_QUERY}"')


def _own_name() -> str:
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return "python -m mtabounce"
    known = shutil.which("mtabounce")
    return "mtabounce" if known and Path(known).samefile(called) else str(called)
