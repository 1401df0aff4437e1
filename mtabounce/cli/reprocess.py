"""``mtabounce reprocess``: read inputs again."""

from typing import Any

import click
from psycopg import Connection

from mtabounce import daemon
from mtabounce.cli.serve import log_to_stderr
from mtabounce.errors import UsageError
from mtabounce.settings import load_settings
from mtabounce.store import inputs
from mtabounce.store.connection import connect_sync
from mtabounce.store.embedded import database
from mtabounce.store.migrate import prepare


@click.command()
@click.argument("numbers", type=int, nargs=-1, metavar="[ID]...")
@click.option("--failed", is_flag=True, help="All inputs that failed.")
@click.pass_context
def command(ctx: click.Context, numbers: tuple[int, ...], failed: bool) -> None:
    """
    Read inputs that failed once more, after an upgrade or with other limits.

    \b
    Example:
      mtabounce reprocess 17 18
      mtabounce reprocess --failed
    """
    if failed == bool(numbers):
        raise UsageError("say which inputs: their numbers, or --failed for all that failed")
    log_to_stderr(verbose=False)
    settings = load_settings(ctx.obj)
    with database(settings.database, settings.state) as url:
        prepare(url)
        with connect_sync(url, application_name="mtabounce reprocess") as conn:
            given_back = inputs.retry_failed(conn, None if failed else numbers)
            _refuse_others(numbers, given_back)
            daemon.work(settings, url, until_idle=True)
            still = [number for number in given_back if _failed(conn, number)]
    click.echo(f"{len(given_back) - len(still)} of {len(given_back)} inputs could be read now.")


def _failed(conn: Connection[Any], number: int) -> bool:
    one = inputs.get_input(conn, number)
    return one is not None and one.state == "failed"


def _refuse_others(numbers: tuple[int, ...], given_back: list[int]) -> None:
    others = sorted(set(numbers) - set(given_back))
    if others:
        click.echo(f"not failed, and left alone: {', '.join(map(str, others))}", err=True)
