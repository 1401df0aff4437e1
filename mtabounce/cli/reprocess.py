"""``mtabounce reprocess``: judge inputs again."""

import asyncio
import sys
from collections import Counter
from datetime import datetime
from functools import partial

import click

from mtabounce.cli._output import Since, print_json, print_table
from mtabounce.errors import UsageError
from mtabounce.model import Outcome
from mtabounce.pipeline.decide import Recorder
from mtabounce.pipeline.judging import Judging
from mtabounce.pipeline.rewrite import Difference, judged_again
from mtabounce.settings import Settings, load_settings
from mtabounce.store import inputs
from mtabounce.store.connection import connect, connect_sync
from mtabounce.store.embedded import database
from mtabounce.store.migrate import prepare
from mtabounce.store.rewrite import Selection, count_trimmed

_SHOWN = 50  # differences; the rest is counted


@click.command()
@click.argument("numbers", type=int, nargs=-1, metavar="[ID]...")
@click.option("--failed", is_flag=True, help="Inputs that failed.")
@click.option("--since", type=Since(), help="Inputs received since: 7d, 12h, 2026-11-23.")
@click.option(
    "--outcome",
    type=click.Choice([one.value for one in Outcome]),
    help="Inputs that turned out to be this.",
)
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a difference.")
@click.pass_context
def command(
    ctx: click.Context,
    numbers: tuple[int, ...],
    failed: bool,
    since: datetime | None,
    outcome: str | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """
    Judge kept inputs again, by the parsers and rules of today.

    Shows what would change, and asks before it changes it. Bounces keep their numbers.

    \b
    Example:
      mtabounce reprocess --failed
      mtabounce reprocess --since 30d --outcome unrecognized --dry-run
      mtabounce reprocess 17 18
    """
    if not (numbers or failed or since or outcome):
        raise UsageError("say which inputs: numbers, --failed, --since or --outcome")
    selection = Selection(
        ids=numbers or None, since=since, state="failed" if failed else None, outcome=outcome
    )
    settings = load_settings(ctx.obj)
    with database(settings.database, settings.state) as url:
        prepare(url)
        _check(url, selection)
        run = partial(_run, settings, url)
        found = asyncio.run(run(selection, write=False))
        _show(found, as_json=as_json)
        if not found or dry_run or not _agreed(yes=yes):
            return
        changed = sorted({one.input_id for one in found})
        asyncio.run(run(Selection(ids=changed), write=True))
        click.echo(f"{len(changed)} inputs are judged anew.", err=as_json)


def _check(url: str, selection: Selection) -> None:
    """Raise UsageError at the first number that no input has; say which cannot be read again."""
    with connect_sync(url, application_name="mtabounce reprocess") as conn:
        for number in selection.ids or ():
            if inputs.get_input(conn, number) is None:
                raise UsageError(f"there is no input {number}")
        if count := count_trimmed(conn, selection):
            click.echo(
                f"{count} inputs are left out: their raw mail is gone, or only its headers are"
                " left ([retention] raw).",
                err=True,
            )


async def _run(
    settings: Settings, url: str, selection: Selection, *, write: bool
) -> list[Difference]:
    worker = settings.worker
    judging = Judging(
        settings.judging(), deadline=worker.deadline.total_seconds(), memory=worker.memory
    )
    connecting = partial(
        connect, url, application_name="mtabounce reprocess", settings=settings.database
    )
    try:
        ring = settings.return_path.ring()
        recorder = Recorder(settings.policy, settings.rules.folder)
        batches = judged_again(connecting, judging, ring, selection, recorder, write=write)
        return [one async for batch in batches for one in batch]
    finally:
        await judging.close()


def _show(found: list[Difference], *, as_json: bool) -> None:
    if as_json:
        for one in found:
            names = ("input_id", "recipient", "was", "now", "rule")
            print_json({name: getattr(one, name) for name in names})
        return
    if not found:
        click.echo("Nothing changes.")
        return
    print_table(
        ("INPUT", "RECIPIENT", "WAS", "NOW", "RULE"),
        [(one.input_id, one.recipient, one.was, one.now, one.rule) for one in found[:_SHOWN]],
    )
    if len(found) > _SHOWN:
        click.echo(f"… and {len(found) - _SHOWN} more. In all:")
        for (was, now), count in Counter((one.was, one.now) for one in found).most_common():
            click.echo(f"  {count:>7}  {was} → {now}")


def _agreed(*, yes: bool) -> bool:
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError("nothing was changed: say --yes where nobody can be asked")
    return click.confirm("Change this?")
