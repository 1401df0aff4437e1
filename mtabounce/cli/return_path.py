"""``mtabounce return-path``: addresses for MAIL FROM that prove what comes back to them."""

import os
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from mtabounce.address import normalize
from mtabounce.cli._database import connected
from mtabounce.cli._output import print_fields, print_json
from mtabounce.errors import ConfigError, UsageError
from mtabounce.pipeline.return_paths import today
from mtabounce.settings import load_settings
from mtabounce.store.return_paths import id_for, key_ids, look_up, put_keys
from mtabounce.verp import Checked, Keyring, unwrapped

_DAYS = 32_768  # what the day in a return path is counted to


@click.group()
def command() -> None:
    """
    Make and check signed return paths.

    A bounce that comes to one is proven, and tied to its recipient and campaign.

    \b
    Example:
      mtabounce return-path make ann@example.net --campaign spring
    """


@command.command()
@click.argument("email")
@click.option("--campaign", default="", help="What the mail is part of.")
@click.pass_obj
def make(config: Path | None, email: str, campaign: str) -> None:
    """
    Print the return path (MAIL FROM) for a mail to EMAIL.

    In SQL it is mtabounce.return_path(email, campaign), which is quicker for many.

    \b
    Example:
      mtabounce return-path make ann@example.net --campaign spring
    """
    try:
        recipient = normalize(email)
    except ValueError as error:
        raise UsageError(str(error)) from None
    ring = _ring(config)
    with connected(config) as conn:
        number = id_for(conn, recipient, campaign)
    click.echo(ring.sign(number, today()))


@command.command()
@click.argument("address")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def check(ctx: click.Context, address: str, as_json: bool) -> None:
    """
    Say what ADDRESS proves: whom it was made for, and until when it is good.

    Exits 1 where it proves nothing.

    \b
    Example:
      mtabounce return-path check b+afy3ab-q4t7dlwkqhzvb2xn@bounces.example.org
    """
    checked = _ring(ctx.obj).check(unwrapped(address), today())
    found = {"result": str(checked.result), "recipient": "", "campaign": "", "expires": ""}
    if checked.is_signed:
        found["expires"] = _date(checked)
        with connected(ctx.obj) as conn:
            made = look_up(conn, checked.number)
        if made is None:
            found["result"] = "unknown_number"
        else:
            found |= {"recipient": made.recipient, "campaign": made.campaign}
    if as_json:
        print_json(found)
    else:
        print_fields(found)
    ctx.exit(0 if found["result"] == "genuine" else 1)


@command.group(invoke_without_command=True)
@click.pass_context
def keys(ctx: click.Context) -> None:
    """
    List the keys by their ids: which one signs, and whether SQL has them.

    To change keys, put a new one first in [return_path] keys and reload the daemon; take the old
    one away when what it signed has expired.

    \b
    Example:
      mtabounce return-path keys new /etc/mtabounce/return-path.key
    """
    if ctx.invoked_subcommand:
        return
    ring = _ring(ctx.obj)
    with connected(ctx.obj) as conn:
        known = key_ids(conn)
    for place, key in enumerate(ring.keys):
        does = "signs, and is believed" if place == 0 else "is believed"
        click.echo(f"{key}  {does}{'' if key in known else '; SQL does not have it'}")
    for key in known:
        if key not in ring.keys:
            click.echo(f"{key}  is in SQL only")
    if known != _in_order(ring):
        click.echo("SQL signs by other keys: mtabounce return-path keys sync")


@keys.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def new(file: Path) -> None:
    """
    Make a key: write a secret to FILE, which nobody else may read.

    \b
    Example:
      mtabounce return-path keys new /etc/mtabounce/return-path.key
    """
    try:
        with os.fdopen(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as opened:
            opened.write(f"{secrets.token_urlsafe(32)}\n")
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from None
    click.echo(f"Wrote {file}. In the configuration, under [return_path]:")
    click.echo(f'keys = [{{ id = "a", secret_file = "{file.absolute()}" }}]')
    if os.geteuid() == 0:
        click.echo(f"Where mtabounce runs as another user: chown USER {file}")


@keys.command()
@click.pass_obj
def sync(config: Path | None) -> None:
    """
    Let SQL sign with the keys of the configuration, as the daemon does when it starts.

    \b
    Example:
      mtabounce return-path keys sync
    """
    ring = _ring(config)
    with connected(config) as conn:
        put_keys(conn, ring)
    click.echo(f"SQL has {len(ring.keys)} keys, and signs with {next(iter(ring.keys))}.")


def _ring(config: Path | None) -> Keyring:
    ring = load_settings(config).return_path.ring()
    if not ring.keys:
        raise ConfigError(
            "[return_path] has no keys: make one with `mtabounce return-path keys new FILE`,"
            " and set domain and keys"
        )
    return ring


def _in_order(ring: Keyring) -> list[str]:
    first, *others = ring.keys
    return [first, *sorted(others)]


def _date(checked: Checked) -> str:
    now = today()
    ahead = (checked.expires - now + _DAYS // 2) % _DAYS - _DAYS // 2
    return (datetime.now(UTC) + timedelta(days=ahead)).date().isoformat()
