"""``mtabounce import mail``: mailboxes, as mails that came now."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import click
from psycopg import AsyncConnection

from mtabounce import daemon
from mtabounce.cli._mails import Mail, mails_of
from mtabounce.errors import UsageError
from mtabounce.model import RawInput
from mtabounce.settings import load_settings
from mtabounce.store import inputs
from mtabounce.store.connection import connect
from mtabounce.store.embedded import database
from mtabounce.store.migrate import prepare

_MAILS = 200  # that one transaction takes


@click.command()
@click.argument(
    "paths",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path, exists=True),
    metavar="PATH...",
)
@click.option("--drain", is_flag=True, help="Read them at once, not when serve or worker runs.")
@click.pass_obj
def command(config: Path | None, paths: tuple[Path, ...], drain: bool) -> None:
    """
    Put the mails PATH into the inbox: files, mboxes, Maildirs.

    A mail that is there already is kept twice as an input, but counts once.

    \b
    Example:
      mtabounce import mail --drain /var/mail/bounces
      mtabounce import mail ~/Maildir
    """
    settings = load_settings(config)
    with database(settings.database, settings.state) as url:
        prepare(url)
        count = asyncio.run(_mails(url, paths))
        click.echo(f"{count} mails are in the inbox")
        if drain:
            daemon.work(settings, url, until_idle=True)


async def _mails(url: str, paths: Iterable[Path]) -> int:
    count = 0
    mails = mails_of(paths)
    async with await connect(url, application_name="mtabounce import") as conn:
        while batch := list(islice(mails, _MAILS)):
            await _append(conn, batch)
            count += len(batch)
    return count


async def _append(conn: AsyncConnection[Any], mails: Iterable[Mail]) -> None:
    """Put *mails* into the inbox. Raises UsageError where one cannot be read."""
    raw = []
    for one in mails:
        if one.error:
            raise UsageError(f"{one.name}: {one.error}")
        raw.append(RawInput(source="import", content=one.content, received_at=datetime.now(UTC)))
    await inputs.append(conn, raw)
