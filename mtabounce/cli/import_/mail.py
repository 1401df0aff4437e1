"""``mtabounce import mail``: mailboxes, as mails that came now."""

import asyncio
import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import click
from psycopg import AsyncConnection

from mtabounce import daemon
from mtabounce.cli._mails import Mail, mails_of, octets_of
from mtabounce.cli._progress import count_bar
from mtabounce.cli.import_._parts import bar, paths_argument
from mtabounce.errors import TryAgainLater
from mtabounce.model import Outcome, RawInput
from mtabounce.settings import Settings, load_settings
from mtabounce.store import inputs, mailboxes
from mtabounce.store.connection import DatabaseSettings, connect, connect_sync
from mtabounce.store.embedded import database
from mtabounce.store.inputs import Finished
from mtabounce.store.migrate import prepare
from mtabounce.store.unavailable import unavailable

_MAILS = 200  # that one transaction takes at most …
_OCTETS = 16 << 20  # … and about so many bytes of them
_MAILBOX = "import"  # under which mails are known that an import took
_ENVELOPE_LINE = re.compile(rb"From [^\n]*\n")  # in front of a mail in an mbox


@click.command()
@paths_argument
@click.option("--drain", is_flag=True, help="Read them now, and leave none to serve or worker.")
@click.pass_context
def command(ctx: click.Context, paths: tuple[Path, ...], drain: bool) -> None:
    """
    Put the mails PATH into the inbox: files, mboxes, Maildirs, folders of them, compressed or not.

    Stop it with Ctrl-C and start it again: a mail that an import put there before is left out, so
    none is counted twice. What cannot be read is named, and the exit status is then 65.

    \b
    Example:
      mtabounce import mail --drain /var/mail/bounces
      mtabounce import mail ~/Maildir /backup/bounces-2025.mbox.gz
    """
    settings = load_settings(ctx.obj)
    with database(settings.database, settings.state) as url, unavailable():
        prepare(url)
        done = asyncio.run(_mails(url, settings.database, paths))
        click.echo(f"{done.kept} mails are in the inbox, {done.known} were there before")
        if drain:
            _drain(settings, url)
    if done.faults:
        ctx.exit(os.EX_DATAERR)


@dataclass(slots=True)
class _Done:
    """How far the import is."""

    kept: int = 0
    known: int = 0
    faults: int = 0
    octets: int = 0


async def _mails(url: str, settings: DatabaseSettings, paths: Sequence[Path]) -> _Done:
    done, begun = _Done(), time.monotonic()
    with bar() as shown:
        task = shown.add_task("", total=octets_of(paths), told="")
        async with await connect(
            url, application_name="mtabounce import", settings=settings
        ) as conn:
            if not await mailboxes.lock(conn, _MAILBOX):
                raise TryAgainLater("another import is running: wait for it, or stop it")
            for batch in _batches(mails_of(paths)):
                for one in batch:
                    if one.error:
                        done.faults += 1
                        shown.console.print(f"mtabounce: {one.name}: {one.error}", soft_wrap=True)
                await _append(conn, [one for one in batch if one.content], done)
                done.octets += sum(one.octets for one in batch)
                pace = (done.kept + done.known) / (time.monotonic() - begun)
                told = f"{pace:,.0f} mails/s, {done.kept:,} new, {done.known:,} known"
                name = Path(batch[-1].name).name
                shown.update(task, completed=done.octets, description=name, told=told)
    return done


def _batches(mails: Iterable[Mail]) -> Iterator[list[Mail]]:
    batch: list[Mail] = []
    octets = 0
    for one in mails:
        batch.append(one)
        octets += len(one.content)
        if len(batch) == _MAILS or octets > _OCTETS:
            yield batch
            batch, octets = [], 0
    if batch:
        yield batch


async def _append(conn: AsyncConnection[Any], mails: Iterable[Mail], done: _Done) -> None:
    """Put those of *mails* into the inbox that no import put there before."""
    contents = [one.content for one in mails]
    by_digest = {_digest(one): one for one in contents}
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
    done.known += len(contents) - len(fresh)


def _digest(content: bytes) -> bytes:
    """Return what is the same for a mail in an mbox, wherever it stands there, and alone."""
    envelope = _ENVELOPE_LINE.match(content)
    return sha256(content[envelope.end() if envelope else 0 :].rstrip(b"\r\n")).digest()


def _drain(settings: Settings, url: str) -> None:
    """Read what is in the inbox; who stops it goes on by starting the import again."""
    with connect_sync(url, application_name="mtabounce import") as conn:
        pending = inputs.backlog(conn).pending
    found, begun = {True: 0, False: 0}, time.monotonic()
    with count_bar() as shown:
        task = shown.add_task("reading", total=pending)

        def tell(finished: Sequence[Finished]) -> None:
            for one in finished:
                found[one.outcome is Outcome.BOUNCE] += 1
            pace = sum(found.values()) / (time.monotonic() - begun)
            told = f"reading, {pace:,.0f} mails/s, {found[True]:,} bounces found"
            shown.update(task, advance=len(finished), description=told)

        daemon.work(settings, url, until_idle=True, tell=tell)
    click.echo(f"{sum(found.values())} were read, {found[True]} of them are bounces")
