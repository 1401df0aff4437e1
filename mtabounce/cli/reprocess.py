"""``mtabounce reprocess``: judge inputs, and what logs said, again."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import click

from mtabounce import assembly
from mtabounce.cli._asking import agreed
from mtabounce.cli._output import Since, print_json, print_table
from mtabounce.cli._progress import count_bar
from mtabounce.errors import UsageError
from mtabounce.model import Outcome
from mtabounce.pipeline.judging import Judging
from mtabounce.pipeline.rewrite import Difference, Step, judged_again
from mtabounce.pipeline.rewrite_logs import PLACE, logged_again
from mtabounce.settings import Settings, load_settings
from mtabounce.store import inputs
from mtabounce.store.connection import connect, connect_sync, limited
from mtabounce.store.embedded import database
from mtabounce.store.migrate import prepare
from mtabounce.store.rewrite import Selection, count_trimmed
from mtabounce.store.unavailable import unavailable

_SHOWN = 50  # differences; the rest is counted
_FIELDS = ("input_id", "recipient", "was", "now", "rule")


class _Place(click.ParamType[tuple[bool, int]]):
    """Where an interrupted run was: the number of an input, or log: and that of a recipient."""

    name = "place"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[bool, int]:
        """Return whether all inputs are done, and behind which number to go on."""
        found = re.fullmatch(rf"({PLACE})?(\d{{1,18}})", str(value))
        if found is None:
            self.fail(f"{value!r} is no place: write it as the interrupted run did", param, ctx)
        return found[1] is not None, int(found[2])


@dataclass(slots=True)
class _Tally:
    """What of many differences is told: the first, and how many there are of each kind."""

    as_json: bool
    first: list[Difference] = field(default_factory=list)
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, one: Difference) -> None:
        self.kinds[one.was, one.now] += 1
        if self.as_json:
            print_json({name: getattr(one, name) for name in _FIELDS})
        elif len(self.first) < _SHOWN:
            self.first.append(one)

    def show(self) -> None:
        """Print what was not printed yet."""
        if self.as_json:
            return
        if not self.kinds:
            click.echo("Nothing changes.")
            return
        print_table(
            ("INPUT", "RECIPIENT", "WAS", "NOW", "RULE"),
            [
                (one.input_id or "log", one.recipient, one.was, one.now, one.rule)
                for one in self.first
            ],
        )
        if (more := self.kinds.total() - len(self.first)) > 0:
            click.echo(f"… and {more} more. In all:")
            for (was, now), count in self.kinds.most_common():
                click.echo(f"  {count:>7}  {was} → {now}")


@click.command()
@click.argument("numbers", type=int, nargs=-1, metavar="[ID]...")
@click.option("--failed", is_flag=True, help="Only inputs that failed.")
@click.option("--since", type=Since(), help="Received, or logged, since: 7d, 12h, 2026-11-23.")
@click.option(
    "--outcome",
    type=click.Choice([one.value for one in Outcome]),
    help="Only what turned out to be this.",
)
@click.option(
    "--after",
    type=_Place(),
    default="0",
    metavar="PLACE",
    help="Go on after this place, which an interrupted run named.",
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
    after: tuple[bool, int],
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """
    Judge kept inputs, and what logs said, again, by the parsers and rules of today.

    Shows what would change, and asks before it changes it. Bounces keep their numbers. With ID, or
    with --failed, it takes inputs only. It can be interrupted: it then says where to go on.

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
    with database(settings.database, settings.state) as where, unavailable():
        url = limited(where, settings.database)
        prepare(where)
        _check(url, selection)
        again = _Again(settings, url, selection, after)
        told = _Tally(as_json)
        asyncio.run(again.run(told, write=False))
        told.show()
        if not told.kinds or dry_run or not agreed("Change this?", yes=yes):
            return
        changed = _Tally(as_json=False)
        asyncio.run(again.run(changed, write=True))
        click.echo(f"{changed.kinds.total()} judgements are changed.", err=as_json)


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


@dataclass(frozen=True, slots=True)
class _Again:
    """What is to be judged again, and from where on."""

    settings: Settings
    url: str
    selection: Selection
    after: tuple[bool, int]  # whether all inputs are done, and the number to go on behind

    async def run(self, told: _Tally, *, write: bool) -> None:
        """Judge it, and tell each difference; with *write*, once it is written."""
        place = ""
        try:
            with count_bar() as bar:
                task = bar.add_task("changing" if write else "judging", total=None)
                async for step in self._steps(write=write):
                    place = step.place
                    for one in step.found:
                        told.add(one)
                    bar.advance(task, step.judged)
        except BaseException:
            if write and place:
                click.echo(f"mtabounce: not all is done: go on with --after {place}", err=True)
            raise

    async def _steps(self, *, write: bool) -> AsyncIterator[Step]:
        settings, selection, (only_logs, number) = self.settings, self.selection, self.after
        connecting = partial(connect, self.url, application_name="mtabounce reprocess")
        recorder = assembly.recorder(settings)
        if not only_logs:
            judging = Judging.of(assembly.judging(settings), settings.worker)
            ring = settings.return_path.ring()
            try:
                async for step in judged_again(
                    connecting, judging, ring, selection, recorder, write=write, after=number
                ):
                    yield step
            finally:
                await judging.close()
        if selection.ids is None and selection.state is None:
            classifier = assembly.classifier(settings)
            first = number if only_logs else 0  # of that recipient, some may be left
            async for step in logged_again(
                connecting, classifier, selection, recorder, write=write, first=first
            ):
                yield step
