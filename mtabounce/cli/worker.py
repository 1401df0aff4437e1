"""``mtabounce worker``: workers without a receiver."""

import click

from mtabounce import daemon
from mtabounce.assembly import check_rules
from mtabounce.cli.serve import log_to_stderr
from mtabounce.settings import load_settings
from mtabounce.store.embedded import database
from mtabounce.store.migrate import prepare


@click.command()
@click.option("--drain", is_flag=True, help="End when nothing is pending.")
@click.option("--verbose", is_flag=True, help="Log what the workers do, not only what goes wrong.")
@click.pass_context
def command(ctx: click.Context, drain: bool, verbose: bool) -> None:
    """
    Read inputs from the inbox, on this or any other host, until SIGTERM or Ctrl-C.

    serve has workers of its own; run more where they cannot keep up.

    \b
    Example:
      mtabounce --config /etc/mtabounce/mtabounce.toml worker
    """
    log_to_stderr(verbose=verbose)
    settings = load_settings(ctx.obj)
    check_rules(settings.rules)
    with database(settings.database, settings.state) as url:
        prepare(url)
        daemon.work(settings, url, until_idle=drain)
