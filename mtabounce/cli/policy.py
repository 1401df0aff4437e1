"""``mtabounce policy``: the thresholds in force, and what others would have done."""

import asyncio
import os
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import click

from mtabounce.cli._database import opened
from mtabounce.cli._output import Since, print_json, print_table
from mtabounce.cli._progress import count_bar
from mtabounce.errors import ConfigError, UsageError
from mtabounce.pipeline.foresight import Change, Tally, compare
from mtabounce.policy import PolicySettings, Rules
from mtabounce.settings import load_settings
from mtabounce.store.connection import connect

_SHOWN = 20  # examples; the rest is counted
_MORE = "would be suppressed as well"
_FEWER = "would not be suppressed"
_OTHERWISE = "would be suppressed otherwise"
_VARIABLE = re.compile(r"MTABOUNCE_POLICY__(\w+)")
_KEY = re.compile(r"[a-z_0-9]+(\.[a-z_0-9]+)*")


@dataclass(slots=True)
class _Told:
    """What of many differences is told: the first of each kind, and how many there are."""

    as_json: bool
    tally: Tally = field(default_factory=Tally)
    first: defaultdict[str, list[Change]] = field(default_factory=lambda: defaultdict(list))
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, one: Change) -> None:
        """Print *one*, or keep it if it is among the first."""
        if self.as_json:
            print_json(one)
            return
        kind = _MORE if not one.was else _FEWER if not one.would_be else _OTHERWISE
        self.counts[kind] += 1
        if self.counts[kind] <= _SHOWN:
            self.first[kind].append(one)

    def show(self) -> None:
        """Print what was not printed yet."""
        if self.as_json:
            return
        tally = self.tally
        click.echo(f"{tally.addresses} addresses; suppressed by cause:")
        causes = sorted({*tally.was, *tally.would_be})
        rows = [(cause, tally.was[cause], tally.would_be[cause]) for cause in causes]
        print_table(("CAUSE", "AS IT IS", "AS SET"), rows)
        for kind in (_MORE, _FEWER, _OTHERWISE):
            _examples(kind, self.first[kind], self.counts[kind])
        if not self.counts:
            click.echo("Nothing differs.")


@click.group()
def command() -> None:
    """
    Show whom policy suppresses and when, and try other settings on what has happened.

    \b
    Example:
      mtabounce policy show
      mtabounce policy simulate --since 90d --set preset=careful
    """


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def show(config: Path | None, as_json: bool) -> None:
    """
    Say what suppresses an address, in words, by the settings in force.

    \b
    Example:
      mtabounce policy show
    """
    settings = load_settings(config).policy
    if as_json:
        print_json(settings.model_dump(mode="json"))
        return
    click.echo(f"Preset {settings.preset}.")
    _tell(settings.policy_for("").rules)
    click.echo(
        "  Bounces of all lists and campaigns are counted together, but for unsubscribing from"
    )
    click.echo("  a list only its own. Bounces whose action is none count for nothing else.")
    for one in settings.override:
        click.echo(f"\nFor {one}:")
        _tell(settings.rules_of(one))


@command.command()
@click.option("--since", type=Since(), help="Only addresses reported about since: 90d.")
@click.option(
    "--set",
    "changes",
    multiple=True,
    required=True,
    metavar="KEY=VALUE",
    help="A setting under [policy], such as soft.count=2 or preset=careful; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object an address.")
@click.pass_obj
def simulate(
    config: Path | None, since: datetime | None, changes: Sequence[str], as_json: bool
) -> None:
    """
    Replay what has happened under other settings, and show what differs. Nothing is written.

    \b
    Example:
      mtabounce policy simulate --since 90d --set soft.count=2 --set soft.span=1d
      mtabounce policy simulate --set min_trust=proven
    """
    others = _others(config, changes)
    told = _Told(as_json)
    with opened(config) as (settings, url):
        asyncio.run(_compare(url, since, settings.policy, others, told))
    told.show()


async def _compare(
    url: str, since: datetime | None, settings: PolicySettings, others: PolicySettings, told: _Told
) -> None:
    async with await connect(url, application_name="mtabounce policy") as conn:
        batches = compare(conn, datetime.now(UTC), since, settings, others, told.tally)
        with count_bar() as bar:
            task = bar.add_task("judging", total=None)
            async for batch in batches:
                for one in batch:
                    told.add(one)
                bar.update(task, completed=told.tally.addresses)


def _others(config: Path | None, changes: Sequence[str]) -> PolicySettings:
    """Return the policy with *changes*, which are read as variables of the environment are."""
    variables = dict(map(_variable, changes))
    try:
        return load_settings(config, os.environ | variables).policy
    except ConfigError as error:
        raise UsageError(_as_options(str(error))) from None


def _variable(change: str) -> tuple[str, str]:
    name, equals, value = change.partition("=")
    name = name.strip().lower().removeprefix("policy.")
    if not equals or not _KEY.fullmatch(name):
        raise UsageError(f"--set {change!r}: write KEY=VALUE, such as soft.count=2")
    if name.split(".")[0] == "breaker":
        raise UsageError(f"--set {change!r}: what the breaker held cannot be replayed")
    return f"MTABOUNCE_POLICY__{name.replace('.', '__').upper()}", value.strip()


def _as_options(text: str) -> str:
    return _VARIABLE.sub(lambda found: f"--set {found[1].replace('__', '.').lower()}", text)


def _tell(rules: Rules) -> None:
    click.echo(f"  evidence that counts: {rules.min_trust}, or better")
    for kind, threshold in rules.thresholds.items():
        click.echo(f"  {kind}: {threshold}")


def _examples(title: str, changes: Sequence[Change], count: int) -> None:
    if not count:
        return
    click.echo(f"\n{count} {title}:")
    print_table(
        ("RECIPIENT", "AS IT IS", "AS SET", "WHY"),
        [(one.recipient, one.was or "–", one.would_be or "–", one.why) for one in changes],
    )
    if count > len(changes):
        click.echo(f"… and {count - len(changes)} more")
