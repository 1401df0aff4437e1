"""``mtabounce import mail``: mailboxes, as mails that came now."""

import asyncio
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import click
from psycopg import AsyncConnection

from mtabounce import daemon
from mtabounce.cli._mails import Mail, mails_of
from mtabounce.cli.import_._parts import bar, paths_argument
from mtabounce.model import RawInput
from mtabounce.settings import load_settings
from mtabounce.store import inputs, mailboxes
from mtabounce.store.connection import connect
from mtabounce.store.embedded import database
from mtabounce.store.migrate import prepare

_MAILS = 200  # that one transaction takes
_MAILBOX = "import"  # under which mails are known that an import took


@click.command()
@paths_argument
@click.option("--drain", is_flag=True, help="Read them at once, not when serve or worker runs.")
@click.pass_context
def command(ctx: click.Context, paths: tuple[Path, ...], drain: bool) -> None:
    """
    Put the mails PATH into the inbox: files, mboxes, Maildirs.

    A mail that an import put there before is left out, so an import that was stopped can be run
    again. What cannot be read is told of, and the exit status is 65 then.

    \b
    Example:
      mtabounce import mail --drain /var/mail/bounces
      mtabounce import mail ~/Maildir
    """
    settings = load_settings(ctx.obj)
    with database(settings.database, settings.state) as url:
        prepare(url)
        done = asyncio.run(_mails(url, paths))
        click.echo(f"{done.kept} mails are in the inbox, {done.known} were there before")
        if drain:
            daemon.work(settings, url, until_idle=True)
    if done.faults:
        ctx.exit(os.EX_DATAERR)


@dataclass(slots=True)
class _Done:
    """How far the import is."""

    kept: int = 0
    known: int = 0
    faults: int = 0
    octets: int = 0

    def __str__(self) -> str:
        return f"{self.kept:,} mails, {self.known:,} known"


async def _mails(url: str, paths: Sequence[Path]) -> _Done:
    done, mails = _Done(), mails_of(paths)
    with bar() as shown:
        task = shown.add_task("", total=sum(map(_size, paths)), told="")
        async with await connect(url, application_name="mtabounce import") as conn:
            while batch := list(islice(mails, _MAILS)):
                readable = [one for one in batch if not one.error]
                for one in batch:
                    if one.error:
                        shown.console.print(f"mtabounce: {one.name}: {one.error}", soft_wrap=True)
                await _append(conn, [one for one in readable if one.content], done)
                done.faults += len(batch) - len(readable)
                done.octets += sum(len(one.content) for one in readable)
                name = Path(batch[-1].name).name
                shown.update(task, completed=done.octets, description=name, told=str(done))
    return done


def _size(path: Path) -> int:
    """Return how many bytes there are to read, about: other programs may be at work there."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.glob("*/*") if file.is_file())
    return path.stat().st_size if path.is_file() else 0


async def _append(conn: AsyncConnection[Any], mails: Iterable[Mail], done: _Done) -> None:
    """Put those of *mails* into the inbox that no import put there before."""
    by_digest = {sha256(one.content).digest(): one.content for one in mails}
    known = await mailboxes.stored_before(conn, _MAILBOX, by_digest) if by_digest else set()
    fresh = {digest: one for digest, one in by_digest.items() if digest not in known}
    now = datetime.now(UTC)
    raw = [RawInput(source="import", content=one, received_at=now) for one in fresh.values()]
    rows = [
        {"uid": digest.hex(), "digest": digest, "size": len(one), "state": "stored"}
        for digest, one in fresh.items()
    ]
    if fresh:
        async with conn.transaction():
            await inputs.append(conn, raw)
            await mailboxes.note(conn, _MAILBOX, rows)
    done.kept += len(fresh)
    done.known += len(known)
