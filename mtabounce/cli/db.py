"""``mtabounce db``: the database, its schema, and how to reach it."""

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from mtabounce.cli._database import opened
from mtabounce.cli._output import print_json, print_table
from mtabounce.errors import StoreUnavailable
from mtabounce.pipeline import sent_mail
from mtabounce.pipeline.retention import due
from mtabounce.pipeline.upkeep import keep_up
from mtabounce.settings import Settings, load_settings
from mtabounce.store.connection import connect, server_name
from mtabounce.store.embedded import database, running_url
from mtabounce.store.migrate import migrate as migrate_database
from mtabounce.store.state import state_directory
from mtabounce.store.version import SchemaStatus
from mtabounce.store.version import status as read_status


@click.group()
def command() -> None:
    """
    Make, migrate and reach the database.

    \b
    Example:
      psql "$(mtabounce db url)"
    """


@command.command()
@click.pass_obj
def init(config: Path | None) -> None:
    """
    Make the database, or what is missing of it.

    That is the embedded PostgreSQL where none is configured, and the schema in either. Does
    nothing the second time.

    \b
    Example:
      mtabounce db init
    """
    with _database(config) as url:
        applied = migrate_database(url)
        click.echo(f"{'made' if applied else 'is there'}: the database at {server_name(url)}")


@command.command()
@click.pass_obj
def migrate(config: Path | None) -> None:
    """
    Bring the schema up to this program.

    Each migration is applied whole or not at all: if one was interrupted, run this again. Stop
    every process of an older mtabounce first.

    \b
    Example:
      mtabounce db migrate
    """
    with _database(config) as url:
        applied = migrate_database(url)
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo("nothing to apply")


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def status(config: Path | None, as_json: bool) -> None:
    """
    Say which schema the database has.

    Exits 1 where it is not the one that this program needs.

    \b
    Example:
      mtabounce db status --json
    """
    with _database(config) as url:
        found = read_status(url)
        server = server_name(url)
    if as_json:
        click.echo(json.dumps(_as_json(server, found)))
    else:
        click.echo(f"database   {server}")
        click.echo(f"schema     {found.version or 'none'}, needed {found.needed}: {found.word}")
        for title, names in (("pending", found.pending), ("unknown", found.unknown)):
            click.echo("".join(f"{title:<11}{name}\n" for name in names), nl=False)
    sys.exit(0 if found.is_current else 1)


@command.command()
@click.option("--dry-run", is_flag=True, help="Show what would go, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def upkeep(config: Path | None, dry_run: bool, as_json: bool) -> None:
    """
    Delete what is too old by [retention] and [sent_mail], and make the partitions to come.

    mtabounce serve does this each hour. Suppressions stay when the bounces behind them go.

    \b
    Example:
      mtabounce db upkeep --dry-run
    """
    with opened(config) as (settings, url):
        found = asyncio.run(_upkeep(url, settings, dry_run=dry_run))
    if as_json:
        print_json(found)
    elif not found:
        click.echo("Nothing is older than it may be.")
    else:
        print_table(("WOULD GO" if dry_run else "WENT", "ROWS"), found.items())


async def _upkeep(url: str, settings: Settings, *, dry_run: bool) -> dict[str, int]:
    now = datetime.now(UTC)
    async with await connect(url, application_name="mtabounce upkeep") as conn:
        if not dry_run:
            return dict(await keep_up(conn, settings.retention, settings.sent_mail, now))
        found = [one async for one in due(conn, settings.retention, now)]
        sent = await sent_mail.due(conn, settings.sent_mail, now)
        return {table: rows for table, rows, months in found if rows or months} | sent


@command.command("url")
@click.pass_obj
def show_url(config: Path | None) -> None:
    """
    Print how to connect, for psql.

    \b
    Example:
      psql "$(mtabounce db url)" -c 'SELECT * FROM mtabounce.bounces'
    """
    settings = load_settings(config)
    url = settings.database.url or running_url(settings.state)
    if url is None:
        raise StoreUnavailable(
            f"no embedded PostgreSQL runs in {state_directory(settings.state)}:"
            " start it with `mtabounce serve`"
        )
    click.echo(url)


@contextmanager
def _database(config: Path | None) -> Iterator[str]:
    settings = load_settings(config)
    with database(settings.database, settings.state) as url:
        yield url


def _as_json(server: str, found: SchemaStatus) -> dict[str, object]:
    return {
        "server": server,
        "state": found.word,
        "version": found.version,
        "needed": found.needed,
        "applied": found.applied,
        "pending": found.pending,
        "unknown": found.unknown,
    }
