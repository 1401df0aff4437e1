"""``mtabounce bounces``: look at bounces and their evidence."""

import sys
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click
from psycopg import Connection

from mtabounce.address import domain_key, recipient_key
from mtabounce.cli._database import connected
from mtabounce.cli._options import listed, of_recipients
from mtabounce.cli._output import print_json, print_table
from mtabounce.cli._story import tell_bounce
from mtabounce.errors import UsageError
from mtabounce.model import BounceType
from mtabounce.reasons import known_reason
from mtabounce.store import bounces as store
from mtabounce.store import inputs


@click.group()
def command() -> None:
    """
    List bounces, or show one with all its evidence.

    \b
    Example:
      mtabounce bounces list --type hard --since 7d
      mtabounce bounces show 17
    """


@command.command("list")
@of_recipients("mailbox_full")
@click.option(
    "--type",
    "kind",
    type=click.Choice([one.value for one in BounceType]),
    help="Only those of this type.",
)
@click.option("--campaign", help="Only those of this campaign.")
@listed("Only those seen since")
@click.pass_context
def list_(
    ctx: click.Context,
    recipient: str | None,
    domain: str | None,
    kind: str | None,
    reason: str | None,
    since: datetime | None,
    campaign: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """
    List bounces, the latest first.

    \b
    Example:
      mtabounce bounces list --domain example.org --type hard
    """
    if reason is not None:
        _check_reason(reason)
    with connected(ctx.obj) as conn:
        found = store.list_bounces(
            conn,
            recipient=recipient and recipient_key(recipient),
            domain=domain and domain_key(domain),
            type=kind,
            reason=reason,
            since=since,
            campaign=campaign,
            limit=limit,
        )
    if as_json:
        for bounce in found:
            print_json(bounce)
        return
    print_table(
        ("ID", "LAST SEEN", "RECIPIENT", "TYPE", "REASON", "STATUS", "TRUST", "SAID"),
        [
            (
                b.id,
                b.last_seen_at,
                b.recipient,
                b.type,
                b.reason,
                b.status,
                b.trust,
                b.diagnostic_code[:200],
            )
            for b in found
        ],
    )


@command.command()
@click.argument("number", type=int, metavar="ID")
@click.option(
    "--raw", is_flag=True, help="Write the mails that reported it, as received, and nothing else."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def show(ctx: click.Context, number: int, raw: bool, as_json: bool) -> None:
    """
    Tell the whole story of one bounce: what is known, who said so, and which rule decided.

    \b
    Example:
      mtabounce bounces show 17
      mtabounce bounces show 17 --raw > bounce.eml
    """
    with connected(ctx.obj) as conn:
        bounce = store.get_bounce(conn, number)
        if bounce is None:
            raise UsageError(f"there is no bounce {number}")
        evidence = store.observations_of(conn, number)
        if raw:
            _write_raw(conn, evidence)
        elif as_json:
            print_json(asdict(bounce) | {"evidence": [asdict(one) for one in evidence]})
        else:
            tell_bounce(bounce, evidence)


def _write_raw(conn: Connection[Any], evidence: list[store.StoredObservation]) -> None:
    contents = [inputs.get_content(conn, one.input_id) for one in evidence if one.input_id]
    kept = [content for content in contents if content]
    if not kept:
        raise UsageError("no mail of this bounce is kept")
    for content in kept:
        sys.stdout.buffer.write(content)


def _check_reason(name: str) -> None:
    try:
        known_reason(name)
    except ValueError as error:
        raise UsageError(str(error)) from None
