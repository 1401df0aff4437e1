"""``mtabounce poll``: look into the mailboxes now."""

import asyncio
import os
from collections.abc import Callable
from functools import partial

import click
import psycopg
from rich.progress import Progress

from mtabounce import assembly
from mtabounce.cli._output import print_json
from mtabounce.cli._progress import count_bar
from mtabounce.config.values import printable
from mtabounce.errors import MtabounceError, UsageError, brief
from mtabounce.pipeline.judging import Judging
from mtabounce.settings import Settings, load_settings
from mtabounce.sources.polled import Tally
from mtabounce.sources.poller import Poller
from mtabounce.store.connection import connect
from mtabounce.store.embedded import database
from mtabounce.store.migrate import prepare


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
@click.option("--again", is_flag=True, help="Look once more at mails that were no bounces.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a mailbox.")
@click.pass_context
def command(
    ctx: click.Context, names: tuple[str, ...], dry_run: bool, again: bool, as_json: bool
) -> None:
    """
    Fetch the bounces from the mailboxes NAME, or from all that are configured.

    Bounces are deleted there once they are stored, unless keep = "leave". All other mail is left.
    Exits 75 where a mailbox could not be polled; the others are.

    \b
    Example:
      mtabounce poll --dry-run
      mtabounce poll bounces@mail.example.org
    """
    settings = load_settings(ctx.obj)
    known = {mailbox.title for _, mailbox in assembly.mailboxes(settings)}
    if strange := sorted(set(names) - known):
        raise UsageError(f"there is no mailbox {strange[0]}; there are: {', '.join(sorted(known))}")
    if not known:
        raise UsageError("no mailbox is configured: write a section [[pop3]] or [[imap]]")
    with database(settings.database, settings.state) as url:
        prepare(url)
        found = asyncio.run(_poll(settings, url, set(names) or known, dry_run=dry_run, again=again))
    for name, result in found.items():
        _show(name, result, as_json=as_json)
    failed = any(isinstance(result, str) for result in found.values())
    ctx.exit(os.EX_TEMPFAIL if failed else os.EX_OK)


async def _poll(
    settings: Settings, url: str, names: set[str], *, dry_run: bool, again: bool
) -> dict[str, Tally | str]:
    judging = Judging.of(assembly.judging(settings), settings.worker)
    connecting = partial(
        connect, url, application_name="mtabounce poll", settings=settings.database
    )
    found: dict[str, Tally | str] = {}
    try:
        for protocol, mailbox in assembly.mailboxes(settings):
            if mailbox.title in names:
                with count_bar() as bar:
                    poller = Poller(
                        protocol,
                        mailbox,
                        connecting,
                        judging,
                        asyncio.Lock(),
                        _nothing,
                        dry_run=dry_run,
                        progress=_shown_in(bar, mailbox.title),
                    )
                    found[mailbox.title] = await _one(poller, again=again and not dry_run)
    finally:
        await judging.close()
    return found


async def _one(poller: Poller, *, again: bool) -> Tally | str:
    try:
        return await poller.poll(again=again)
    except (MtabounceError, psycopg.Error, OSError) as error:
        return brief(error)


def _shown_in(bar: Progress, name: str) -> Callable[[Tally], None]:
    task = bar.add_task(name, total=None)

    def show(tally: Tally) -> None:
        done = tally.looked_at
        bar.update(task, completed=done, total=done + tally.waiting)

    return show


def _nothing() -> None:
    """Do nothing: the workers of the daemon look by themselves."""


def _show(name: str, result: Tally | str, *, as_json: bool) -> None:
    if as_json:
        told = {"error": result} if isinstance(result, str) else _counts(result)
        print_json({"mailbox": name, **told})
        return
    if isinstance(result, str):
        click.echo(f"{name}: {result}", err=True)
        return
    for line in result.lines:
        click.echo(printable(line))
    said = ", ".join(f"{count} {what}" for what, count in _counts(result).items())
    click.echo(f"{name}: {said}")


def _counts(tally: Tally) -> dict[str, int]:
    names = ("stored", "copies", "deleted", "other", "failed", "large", "waiting")
    return {name: getattr(tally, name) for name in names}
