"""``mtabounce suppressions check``: who of some is suppressed."""

from collections.abc import Sequence

import click

from mtabounce.cli._database import connected
from mtabounce.cli.suppressions._parts import normal, show
from mtabounce.policy import EVERYWHERE
from mtabounce.store import suppressions as store


@click.command()
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a suppression.")
@click.pass_context
def command(ctx: click.Context, addresses: Sequence[str], as_json: bool) -> None:
    """
    Say which of the addresses are suppressed now. Exits 1 where one is.

    \b
    Example:
      mtabounce suppressions check ann@example.org && echo "mail her"
    """
    recipients = [normal(one) for one in addresses]
    with connected(ctx.obj) as conn:
        found = store.check_addresses(conn, recipients)
    if as_json:
        show(found, as_json=True)
    else:
        against: dict[str, list[str]] = {one: [] for one in recipients}
        for one in found:
            against[one.recipient].append(_in_words(one))
        for recipient, words in against.items():
            click.echo(f"{recipient}: {'; '.join(words) or 'not suppressed'}")
    ctx.exit(1 if found else 0)


def _in_words(one: store.StoredSuppression) -> str:
    until = f" until {one.until:%Y-%m-%d}" if one.until else ""
    scope = "" if one.scope == EVERYWHERE else f" for {one.scope}"
    why = f": {one.reason}" if one.reason else ""
    return f"suppressed{scope} since {one.since:%Y-%m-%d}{until}, {one.cause}{why}"
