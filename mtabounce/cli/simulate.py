"""``mtabounce simulate``: sample bounces through the receiver, to see what becomes of them."""

import smtplib
import time
from collections.abc import Iterator
from email.utils import formatdate
from importlib.resources import files
from pathlib import Path
from secrets import token_hex
from string import Template
from typing import Any

import click
from psycopg import Connection

from mtabounce.cli._database import connected
from mtabounce.cli._output import print_table
from mtabounce.config import ListenAddress
from mtabounce.errors import StoreUnavailable, UsageError
from mtabounce.settings import load_settings
from mtabounce.sources.receiver_settings import ReceiverSettings
from mtabounce.store import bounces, inputs

_SAMPLES = files("mtabounce.cli") / "_samples"
_KINDS = sorted(name.removesuffix(".eml") for name in (one.name for one in _SAMPLES.iterdir()))
_PATIENCE = 15.0  # seconds until the rows should be there


@click.command()
@click.option(
    "--kind", "kinds", type=click.Choice(_KINDS), multiple=True, help="Only these samples."
)
@click.option(
    "--count",
    type=click.IntRange(1, 10_000),
    default=1,
    show_default=True,
    help="How many of each.",
)
@click.option("--to", "server", help="The receiver, as HOST:PORT.  [default: as configured]")
@click.pass_context
def command(ctx: click.Context, kinds: tuple[str, ...], count: int, server: str | None) -> None:
    """
    Send sample bounces to the receiver by SMTP, and show the rows that they become.

    The samples: an unknown user (DSN, 5.1.1), a full mailbox, a blocklisted sender, a complaint
    and an auto-reply. Their recipients are in example.net, so that no real address is touched.

    \b
    Example:
      mtabounce simulate
      mtabounce simulate --kind complaint --count 10
    """
    config: Path | None = ctx.obj
    receiver = load_settings(config).receiver
    address = _address(server, receiver)
    with connected(config) as conn:
        before = _latest(conn)
        sent = _send(address, _return_path(receiver), list(_samples(kinds or tuple(_KINDS), count)))
        click.echo(f"Sent {sent} mails to {address}.")
        _show(_await(conn, before, sent), conn)


def _address(server: str | None, receiver: ReceiverSettings) -> ListenAddress:
    if server:
        try:
            return ListenAddress.parse(server)
        except ValueError as error:
            raise UsageError(f"--to: {error}") from error
    tcp = [address for address in receiver.listen if address.path is None]
    if not tcp:
        raise UsageError("the receiver listens on no TCP port: say where with --to HOST:PORT")
    return tcp[0]


def _return_path(receiver: ReceiverSettings) -> str:
    first = receiver.return_paths[0] if receiver.return_paths else "bounces@localhost"
    return f"bounces{first}" if first.startswith("@") else first


def _samples(kinds: tuple[str, ...], count: int) -> Iterator[tuple[Template, str]]:
    for kind in kinds:
        text = (_SAMPLES / f"{kind}.eml").read_text("utf-8")
        for _ in range(count):
            yield Template(text), kind.replace("_", "-")


def _send(address: ListenAddress, return_path: str, samples: list[tuple[Template, str]]) -> int:
    try:
        with smtplib.SMTP(address.host, address.port, timeout=30) as server:
            for template, kind in samples:
                number = token_hex(6)
                text = template.substitute(
                    return_path=return_path,
                    recipient=f"{kind}-{number}@example.net",
                    date=formatdate(localtime=True),
                    id=f"{kind}.{number}",
                    queue_id=number.upper(),
                )
                server.sendmail("", [return_path], text.replace("\n", "\r\n").encode())
    except (OSError, smtplib.SMTPException) as error:
        raise StoreUnavailable(
            f"the receiver at {address} did not take the mail: {error}"
            " (does serve run? where systemd opens its port: --to HOST:PORT)"
        ) from error
    return len(samples)


def _latest(conn: Connection[Any]) -> int:
    return max((one.id for one in inputs.list_inputs(conn, limit=1)), default=0)


def _await(conn: Connection[Any], before: int, count: int) -> list[inputs.StoredInput]:
    deadline = time.monotonic() + _PATIENCE
    while True:
        found = [one for one in inputs.list_inputs(conn, limit=count) if one.id > before]
        if len(found) >= count and all(one.state != "pending" for one in found):
            return found[::-1]
        if time.monotonic() > deadline:
            raise StoreUnavailable(
                "the mails were taken but are not read yet: see `mtabounce inputs list`"
            )
        time.sleep(0.05)


def _show(found: list[inputs.StoredInput], conn: Connection[Any]) -> None:
    said = [report for one in found for report in bounces.observations_of_input(conn, one.id)]
    print_table(
        ("BOUNCE", "RECIPIENT", "TYPE", "REASON", "RULE"),
        [
            (one.bounce_id or "none", one.final_recipient, one.type, one.reason, one.rule)
            for one in said
        ],
    )
