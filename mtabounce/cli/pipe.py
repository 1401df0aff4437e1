"""``mtabounce pipe``: takes a bounce from a mail server's pipe transport."""

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path

import click

from mtabounce.errors import StoreUnavailable
from mtabounce.model import RawInput
from mtabounce.settings import Settings, load_settings
from mtabounce.sources import handover
from mtabounce.store import inputs
from mtabounce.store.connection import connect
from mtabounce.store.version import check


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("-f", "--sender", metavar="ADDRESS", help="MAIL FROM of the bounce.  [env: SENDER]")
@click.option("--socket", metavar="PATH", help="The daemon's socket.  [default: as configured]")
@click.argument("recipients", nargs=-1, metavar="[RECIPIENT]...")
@click.pass_context
def command(
    ctx: click.Context, sender: str | None, socket: str | None, recipients: tuple[str, ...]
) -> None:
    """
    Take one bounce on standard input, for the pipe transports of Postfix and Exim.

    RECIPIENT is the address the bounce came to; it can also be given in $RECIPIENT. The sender
    MAILER-DAEMON stands for the null sender. An mbox "From " line may come first.

    Exits 0 only once the bounce is committed, by the daemon, or directly where that is away. It
    exits 65 for a mail that is too large, and 75, try again later, whatever else happens.

    \b
    Example:
      mtabounce pipe -f "$SENDER" -- "$RECIPIENT" < bounce.eml
    """
    words = [] if sender is None else ["-f", sender]
    words += [] if socket is None else ["--socket", socket]
    words += [] if ctx.obj is None else ["--config", str(ctx.obj)]
    task = handover.parse(["pipe", *words, "--", *recipients])
    status = handover.hand_over(task)
    ctx.exit(store(task) if status is None else status)


def store(task: handover.Task) -> int:
    """
    Write the mail of *task* to the inbox, and return 0 after COMMIT.

    Raises ConfigError where the configuration cannot be read, StoreUnavailable where the
    database is away; it is, with the daemon, where it is embedded.
    """
    settings = load_settings(Path(task.config) if task.config else None)
    url = settings.database.url
    if url is None:
        raise StoreUnavailable("mtabounce serve is away, and its own PostgreSQL with it")
    if len(task.content) > settings.receiver.max_size:
        click.echo("mtabounce pipe: 552 5.3.4 message too large", err=True)
        return os.EX_DATAERR
    check(url)
    asyncio.run(_append(settings, url, _raw(task)))
    return os.EX_OK


async def _append(settings: Settings, url: str, raw: RawInput) -> None:
    async with await connect(
        url, application_name="mtabounce pipe", settings=settings.database
    ) as conn:
        await inputs.append(conn, [raw])


def _raw(task: handover.Task) -> RawInput:
    return RawInput(
        source="pipe",
        content=task.content,
        received_at=datetime.now(UTC),
        reverse_path=task.sender,
        forward_paths=tuple(task.recipients),
        peer="unix",
        trusted=True,
    )
