"""``mtabounce policy``: the thresholds in force, and what others would have done."""

import asyncio
import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from mtabounce.cli._database import opened
from mtabounce.cli._output import Since, print_json, print_table
from mtabounce.errors import ConfigError, UsageError
from mtabounce.pipeline.foresight import Change, Tally, compare
from mtabounce.policy import PolicySettings, Rules
from mtabounce.settings import load_settings
from mtabounce.store.connection import connect

_SHOWN = 20  # examples; the rest is counted
_VARIABLE = re.compile(r"MTABOUNCE_POLICY__(\w+)")
_KEY = re.compile(r"[a-z_0-9]+(\.[a-z_0-9]+)*")


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
    click.echo("  bounces are counted together over all lists and campaigns, but those of one")
    click.echo("  list to unsubscribe from it; those whose action is none count for nothing else")
    for one in settings.override:
        click.echo(f"\nFor {one}:")
        _tell(settings.rules_of(one))


@command.command()
@click.option("--since", type=Since(), help="Addresses of whom something was said since: 90d.")
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
    tally = Tally()
    with opened(config) as (settings, url):
        found = asyncio.run(_compare(url, since, settings.policy, others, tally))
    if as_json:
        for one in found:
            print_json(one)
        return
    _show(tally, found)


async def _compare(
    url: str,
    since: datetime | None,
    settings: PolicySettings,
    others: PolicySettings,
    tally: Tally,
) -> list[Change]:
    async with await connect(url, application_name="mtabounce policy") as conn:
        batches = compare(conn, datetime.now(UTC), since, settings, others, tally)
        return [one async for batch in batches for one in batch]


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


def _show(tally: Tally, found: Sequence[Change]) -> None:
    click.echo(f"{tally.addresses} addresses; suppressed by cause:")
    causes = sorted({*tally.was, *tally.would_be})
    rows = [(cause, tally.was[cause], tally.would_be[cause]) for cause in causes]
    print_table(("CAUSE", "AS IT IS", "AS SET"), rows)
    more = [one for one in found if not one.was]
    fewer = [one for one in found if not one.would_be]
    others = [one for one in found if one.was and one.would_be]
    _examples("would be suppressed as well", more)
    _examples("would not be suppressed", fewer)
    _examples("would be suppressed otherwise", others)
    if not found:
        click.echo("Nothing differs.")


def _examples(title: str, changes: Sequence[Change]) -> None:
    if not changes:
        return
    click.echo(f"\n{len(changes)} {title}:")
    print_table(
        ("RECIPIENT", "AS IT IS", "AS SET", "WHY"),
        [(one.recipient, one.was or "–", one.would_be or "–", one.why) for one in changes[:_SHOWN]],
    )
    if len(changes) > _SHOWN:
        click.echo(f"… and {len(changes) - _SHOWN} more")
