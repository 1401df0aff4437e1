"""``mtabounce webhook replay``: take requests that were refused, once the reason is mended."""

import asyncio
from pathlib import Path
from typing import Any

import click
from psycopg import Connection

from mtabounce.cli._database import connected
from mtabounce.cli.webhook._common import checked_settings, nowhere, webhook_of
from mtabounce.errors import UsageError
from mtabounce.providers.request import USED
from mtabounce.store import inputs
from mtabounce.store import webhooks as store
from mtabounce.web.request import Posted, Refused
from mtabounce.web.webhook import Webhook


@click.command()
@click.argument("name")
@click.argument("numbers", nargs=-1, type=int, metavar="[ID]...")
@click.option("--trust", is_flag=True, help="Take them without proof: you looked at each of them.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
@click.pass_context
def command(
    ctx: click.Context, name: str, numbers: tuple[int, ...], trust: bool, dry_run: bool
) -> None:
    """
    Take the refused requests ID of the webhook NAME after all; without ID, all that are kept.

    Each is checked once more, with the secrets of today, as of the time it came. Passwords and
    tokens are not kept, so that what proves itself by one needs --trust: look at it with `webhook
    doctor` first. What is taken is no longer kept as refused; events known before count once.

    \b
    Example:
      mtabounce webhook replay sendgrid
      mtabounce webhook replay postmark 17 18 --trust
    """
    config: Path | None = ctx.obj
    webhook = Webhook(name, webhook_of(checked_settings(config), name), nowhere)
    taken = left = 0
    with connected(config) as conn:
        for one in _chosen(conn, name, numbers):
            why = "" if trust else asyncio.run(_refused(webhook, one))
            if len(one.body) < one.size:
                why = "only its beginning was kept"
            taken, left = taken + (not why), left + bool(why)
            click.echo(f"{one.id}: {why or ('would be taken' if dry_run else 'taken')}")
            if not why and not dry_run:
                _take(conn, webhook, one)
    click.echo(f"{taken} taken, {left} refused once more.")
    if left and not trust and webhook.settings.shows_its_secret():
        click.echo("What proves itself by a password or token needs --trust: neither was kept.")
    ctx.exit(1 if left else 0)


def _chosen(conn: Connection[Any], name: str, numbers: tuple[int, ...]) -> list[store.Refusal]:
    if not numbers:
        return store.refusals(conn, name, store.MOST)[::-1]
    found = [one for number in numbers for one in store.refusals(conn, name, 1, number)]
    if missing := sorted(set(numbers) - {one.id for one in found}):
        raise UsageError(f"there is no refused request {missing[0]} of {name}")
    return found


def _posted(one: store.Refusal) -> Posted:
    return Posted(headers=one.headers, query={}, body=one.body, peer=one.peer)


async def _refused(webhook: Webhook, one: store.Refusal) -> str:
    """Return why *one* is refused once more; "" where it is not."""
    if one.why == USED:
        return USED  # the body that it was made for was taken: this one is forged
    try:
        await webhook.verify(_posted(one), one.refused_at)
    except Refused as error:
        return str(error)
    return ""


def _take(conn: Connection[Any], webhook: Webhook, one: store.Refusal) -> None:
    raw = webhook.input_of(_posted(one), one.refused_at)
    with conn.transaction():
        inputs.append_sync(conn, [raw])
        store.forget(conn, one.id)
