"""``mtabounce incidents``: bounces that jumped, and who blocks us; say what they are."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from psycopg import Connection

from mtabounce.cli._asking import agreed, operator
from mtabounce.cli._database import connected, opened
from mtabounce.cli._output import print_fields, print_json, print_table
from mtabounce.errors import UsageError
from mtabounce.pipeline.breaking import close, incident_in_words
from mtabounce.pipeline.upkeep import settle
from mtabounce.policy import PolicySettings
from mtabounce.store import incidents as store
from mtabounce.store.connection import connect

_STATES = ("open", "confirmed", "reverted")


@click.group()
def command() -> None:
    """
    Look at jumps in the bounces of one operator or sender: they suppress nobody until you say so.

    A jump is more likely the operator's fault, or ours, than that of so many addresses at once.

    \b
    Example:
      mtabounce incidents list
      mtabounce incidents revert 7
    """


@command.command("list")
@click.option("--state", type=click.Choice(_STATES), help="Only those in this state.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.pass_obj
def list_(config: Path | None, state: str | None, as_json: bool) -> None:
    """
    List incidents, the latest first.

    \b
    Example:
      mtabounce incidents list --state open
    """
    with connected(config) as conn:
        found = store.list_incidents(conn, state=state)
    if as_json:
        for one in found:
            print_json(one)
        return
    print_table(
        ("ID", "STATE", "BEGAN", "LAST", "RECIPIENTS", "WHAT", "SAID"),
        [
            (
                one.id,
                one.state,
                one.began_at,
                one.last_at,
                one.recipients,
                incident_in_words(one),
                one.said,
            )
            for one in found
        ],
    )


@command.command()
@click.argument("number", type=int, metavar="ID")
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="How many bounces at most.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def show(config: Path | None, number: int, limit: int, as_json: bool) -> None:
    """
    Show an incident, and its first bounces.

    \b
    Example:
      mtabounce incidents show 7
    """
    with connected(config) as conn:
        one = _get(conn, number)
        held = store.bounces_of_incident(conn, number, limit)
    if as_json:
        print_json(asdict(one) | {"bounces": [asdict(bounce) for bounce in held]})
        return
    click.echo(f"Incident {one.id}, {one.state}: {incident_in_words(one)}")
    names = ("recipients", "began_at", "last_at", "said", "rule", "closed_at", "closed_by", "why")
    print_fields({name.replace("_", " "): getattr(one, name) for name in names}, 2)
    print_table(
        ("WHEN", "BOUNCE", "RECIPIENT", "SAID"),
        [(h.first_seen_at, h.bounce_id, h.recipient, h.diagnostic_code[:120]) for h in held],
    )


@command.command()
@click.argument("number", type=int, metavar="ID")
@click.option("--why", default="", help="Why, in your words; it is kept and shown.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def confirm(config: Path | None, number: int, why: str, yes: bool) -> None:
    """
    Say that the bounces are true, and let them count.

    What follows from them is done now: addresses are suppressed. For a day no new incident of that
    operator and reason begins. Where the incident says that you are blocked, nobody is suppressed:
    this only notes that somebody sees to it.

    \b
    Example:
      mtabounce incidents confirm 7 --why "a list of 2009"
    """
    _close(config, number, "confirmed", why, yes=yes)


@command.command()
@click.argument("number", type=int, metavar="ID")
@click.option("--why", default="", help="Why, in your words; it is kept and shown.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def revert(config: Path | None, number: int, why: str, yes: bool) -> None:
    """
    Say that the bounces were not true.

    They never count, and nobody stays suppressed by them.

    \b
    Example:
      mtabounce incidents revert 7 --why "outage at Gmail"
    """
    _close(config, number, "reverted", why, yes=yes)


def _close(config: Path | None, number: int, state: str, why: str, *, yes: bool) -> None:
    with connected(config) as conn:
        one = _get(conn, number)
    if one.state == state:
        click.echo(f"Incident {number} is {state} already.")
        return
    click.echo(f"Incident {number}: {incident_in_words(one)}, {one.recipients} recipients")
    if not agreed(f"Is it to be {state}?", yes=yes):
        return
    with opened(config) as (settings, url):
        count = asyncio.run(_closed(url, settings.policy, one, state, why))
    click.echo(f"Incident {number} is {state}; policy looked again at {count} addresses.")


async def _closed(
    url: str, policy: PolicySettings, one: store.Incident, state: str, why: str
) -> int:
    async with await connect(url, application_name="mtabounce incidents") as conn:
        await close(conn, one, state, operator(), why)
        return await settle(conn, policy)


def _get(conn: Connection[Any], number: int) -> store.Incident:
    found = store.list_incidents(conn, number=number)
    if not found:
        raise UsageError(f"there is no incident {number}")
    return found[0]
