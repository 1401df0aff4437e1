"""``mtabounce suppressions list``: whom we do not mail now."""

from datetime import datetime

import click

from mtabounce.address import domain_key, recipient_key
from mtabounce.cli._database import connected
from mtabounce.cli._options import listed, of_recipients
from mtabounce.cli.suppressions._parts import Scope, show
from mtabounce.store import suppressions as store


@click.command()
@of_recipients("user_unknown")
@click.option("--cause", type=click.Choice(store.CAUSES), help="Only those of this cause.")
@click.option("--scope", type=Scope(), help="Only those of this scope.")
@listed("Only those begun since")
@click.pass_context
def command(
    ctx: click.Context,
    recipient: str | None,
    domain: str | None,
    cause: str | None,
    reason: str | None,
    scope: str | None,
    since: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """
    List suppressions that hold now, the latest first.

    \b
    Example:
      mtabounce suppressions list --domain example.org
    """
    with connected(ctx.obj) as conn:
        found = store.list_suppressions(
            conn,
            recipient=recipient and recipient_key(recipient),
            domain=domain and domain_key(domain),
            cause=cause,
            reason=reason,
            scope=scope,
            since=since,
            limit=limit,
        )
    show(found, as_json=as_json)
