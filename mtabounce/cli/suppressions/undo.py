"""``mtabounce suppressions undo``: suppressions taken back."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click

from mtabounce.cli._asking import agreed
from mtabounce.cli._database import connected
from mtabounce.cli._output import Since, print_table
from mtabounce.cli._rules import classifier_for
from mtabounce.cli._saying import say_all
from mtabounce.cli.suppressions._parts import normal
from mtabounce.errors import UsageError
from mtabounce.pipeline.words import Word
from mtabounce.reasons import did_you_mean
from mtabounce.store import suppressions as store

_SHOWN = 50  # of what would be undone; the rest is counted


@click.command()
@click.argument("addresses", nargs=-1, metavar="[ADDRESS]...")
@click.option("--cause", type=click.Choice(store.CAUSES), help="Those of this cause.")
@click.option("--rule", help="Those whose bounce this rule decided on.")
@click.option("--incident", type=int, help="Those of an incident that was confirmed.")
@click.option("--since", type=Since(), help="Those that began since: 7d, 12h, 2026-11-23T10:00.")
@click.option("--until", type=Since(), help="Those that began before: 2026-11-23T17:00.")
@click.option("--why", default="", help="Why, in your words; it is kept and shown.")
@click.option("--dry-run", is_flag=True, help="Show what it would do, and do nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def command(
    config: Path | None,
    addresses: Sequence[str],
    cause: str | None,
    rule: str | None,
    incident: int | None,
    since: datetime | None,
    until: datetime | None,
    why: str,
    dry_run: bool,
    yes: bool,
) -> None:
    """
    Take back the suppressions that meet all conditions, and forgive the bounces behind them.

    Other evidence still counts: where there is some, an address stays suppressed by it. Complaints,
    and what was added by hand, are only undone where an address, the cause or the rule is named.

    \b
    Example:
      mtabounce suppressions undo --rule google-user-unknown --since 2026-12-14T21:00
      mtabounce suppressions undo ann@example.org
    """
    selection = store.Selection(
        recipients=[normal(one) for one in addresses] or None,
        cause=cause,
        rule=rule,
        incident=incident,
        since=since,
        until=until,
    )
    if selection == store.Selection():
        raise UsageError("say which: an address, --cause, --rule, --incident, --since or --until")
    with connected(config) as conn:
        found = store.undoable(conn, selection)
    _show_undoable(found)
    if rule and not found:
        _say_if_misspelt(rule, config)
    if not found or dry_run or not agreed("Undo them?", yes=yes):
        return
    say_all(config, [_word(one, why or _described(selection)) for one in found])
    with connected(config) as conn:
        left = store.check_addresses(conn, sorted({one.recipient for one in found}))
    click.echo(f"{len(found)} undone; {len(left)} stay suppressed by other evidence.")


def _word(one: store.Undoable, why: str) -> Word:
    return Word(
        recipient=one.recipient,
        action="remove",
        why=why,
        forgives=tuple(one.forgives),
        undoes=tuple(one.undoes),
    )


def _show_undoable(found: Sequence[store.Undoable]) -> None:
    if not found:
        click.echo("No suppression fits.")
        return
    print_table(
        ("SINCE", "RECIPIENT", "CAUSE", "REASON", "SCOPE", "FORGIVES"),
        [
            (one.since, one.recipient, one.cause, one.reason, one.scope, _forgiven(one))
            for one in found[:_SHOWN]
        ],
    )
    if len(found) > _SHOWN:
        click.echo(f"… and {len(found) - _SHOWN} more: {len(found)} in all.")


def _say_if_misspelt(rule: str, config: Path | None) -> None:
    known = {one.id: one for one in classifier_for(config).rules}
    if rule not in known and (hint := did_you_mean(rule, known)):
        click.echo(f"There is no rule {rule}{hint}")


def _forgiven(one: store.Undoable) -> str:
    if one.undoes:
        return "what an operator added" if one.cause == "manual" else "what was kept of it"
    kind = "bounce" if len(one.forgives) == 1 else "bounces"
    return f"{len(one.forgives)} {kind}" if one.forgives else "all that was"


def _described(selection: store.Selection) -> str:
    told = {"cause": selection.cause, "rule": selection.rule, "incident": selection.incident}
    words = [f"{name} {value}" for name, value in told.items() if value]
    if selection.since:
        words.append(f"since {selection.since:%Y-%m-%d %H:%M}")
    if selection.until:
        words.append(f"until {selection.until:%Y-%m-%d %H:%M}")
    return f"undone by {', '.join(words) or 'address'}"
