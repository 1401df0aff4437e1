"""``mtabounce inputs``: look at what was received."""

import sys
from dataclasses import asdict
from datetime import datetime

import click

from mtabounce.cli._database import connected
from mtabounce.cli._options import listed
from mtabounce.cli._output import print_fields, print_json, print_table
from mtabounce.errors import UsageError
from mtabounce.mask import clusters
from mtabounce.model import Outcome
from mtabounce.parsers import gist
from mtabounce.store import bounces, inputs

_MAILS = 10_000  # of those that no parser knew, the latest are looked at


@click.group()
def command() -> None:
    """
    List what was received, or show one input and what it said.

    \b
    Example:
      mtabounce inputs list --state failed
      mtabounce inputs show 17 --raw > input.eml
    """


@command.command("list")
@click.option("--state", type=click.Choice(inputs.STATES), help="Only those in this state.")
@click.option(
    "--outcome",
    type=click.Choice([one.value for one in Outcome]),
    help="Only those that turned out to be this.",
)
@click.option("--source", help="Only those of this source, such as receiver.")
@listed("Only those received since")
@click.pass_context
def list_(
    ctx: click.Context,
    state: str | None,
    outcome: str | None,
    source: str | None,
    since: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """
    List inputs, the latest first.

    \b
    Example:
      mtabounce inputs list --outcome unrecognized --since 7d
    """
    with connected(ctx.obj) as conn:
        found = inputs.list_inputs(
            conn, state=state, outcome=outcome, source=source, since=since, limit=limit
        )
    if as_json:
        for one in found:
            print_json(one)
        return
    print_table(
        ("ID", "RECEIVED", "SOURCE", "STATE", "OUTCOME", "BYTES", "TO", "ERROR"),
        [
            (one.id, one.received_at, one.source, one.state, one.outcome, one.size,
             one.forward_paths, one.error)
            for one in found
        ],
    )  # fmt: skip


@command.command()
@click.argument("number", type=int, metavar="ID")
@click.option("--raw", is_flag=True, help="Write the input as received, and nothing else.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def show(ctx: click.Context, number: int, raw: bool, as_json: bool) -> None:
    """
    Show one input: where it came from, what became of it, and what it said about whom.

    \b
    Example:
      mtabounce inputs show 17
    """
    with connected(ctx.obj) as conn:
        one = inputs.get_input(conn, number)
        if one is None:
            raise UsageError(f"there is no input {number}")
        if raw and one.kept == "none":
            raise UsageError(
                f"nothing of input {number} is kept but what it said ([retention] raw)"
            )
        if raw:
            sys.stdout.buffer.write(inputs.get_content(conn, number) or b"")
            return
        said = bounces.observations_of_input(conn, number)
    if as_json:
        print_json(asdict(one) | {"said": [asdict(report) for report in said]})
        return
    print_fields({name.replace("_", " "): value for name, value in asdict(one).items()})
    for report in said:
        bounce = f"bounce {report.bounce_id}" if report.bounce_id else "no bounce"
        click.echo(f"\n{report.final_recipient}: {report.outcome}, {report.reason} ({bounce})")
        print_fields({"rule": report.rule, "said": report.diagnostic_code}, 2)


@command.command()
@listed("Only what was received since", limit=20)
@click.pass_context
def cluster(ctx: click.Context, since: datetime | None, limit: int, as_json: bool) -> None:
    """
    Group what could not be judged by its words, the biggest group first.

    Shows what the next rule should be for: replies that stayed undetermined, each with a bounce as
    an example (see mtabounce bounces show), and mails that no parser recognized. Addresses, hosts
    and numbers are masked.

    \b
    Example:
      mtabounce inputs cluster --since 30d
    """
    with connected(ctx.obj) as conn:
        undetermined = clusters(inputs.undetermined(conn, since))
        mails = inputs.unrecognized(conn, since, _MAILS)
        unrecognized = clusters((gist(content), 1, number) for number, content in mails)
    kinds = (("undetermined", "BOUNCE", undetermined), ("unrecognized", "INPUT", unrecognized))
    for title, number, found in kinds:
        if as_json:
            for one in found[:limit]:
                print_json({"kind": title} | asdict(one))
        elif found:
            print_table(
                ("TIMES", number, title.upper()),
                [(one.count, one.number, one.masked) for one in found[:limit]],
            )
        else:
            click.echo(f"Nothing is {title}.")
