"""``mtabounce tail``: follow logs, without the rest of the daemon."""

import click

from mtabounce import daemon
from mtabounce.cli.serve import log_to_stderr
from mtabounce.errors import ConfigError
from mtabounce.settings import load_settings
from mtabounce.store.embedded import database
from mtabounce.store.migrate import prepare


@click.command()
@click.option("--until-idle", is_flag=True, help="End when nothing more is in the logs.")
@click.option("--verbose", is_flag=True, help="Log what is done, not only what goes wrong.")
@click.pass_context
def command(ctx: click.Context, until_idle: bool, verbose: bool) -> None:
    """
    Follow the logs of the configuration until SIGTERM or Ctrl-C.

    serve does this too; use tail on a mail server whose logs go to a database elsewhere.

    \b
    Example:
      mtabounce --config /etc/mtabounce/mtabounce.toml tail
    """
    log_to_stderr(verbose=verbose)
    settings = load_settings(ctx.obj)
    if not settings.log:
        raise ConfigError('there is no log to follow: add [[log]] with path = "/var/log/mail.log"')
    with database(settings.database, settings.state) as url:
        prepare(url)
        daemon.tail(settings, url, until_idle=until_idle)
