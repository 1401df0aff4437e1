"""``mtabounce token``: who may use the HTTP API."""

from pathlib import Path

import click

from mtabounce.cli._database import connected
from mtabounce.cli._output import print_json, print_table
from mtabounce.errors import UsageError
from mtabounce.store import tokens


@click.group()
def command() -> None:
    """
    Make and revoke tokens of the HTTP API.

    \b
    Example:
      mtabounce token create newsletter --scope ingest
    """


@command.command()
@click.argument("username")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(tokens.SCOPES),
    multiple=True,
    required=True,
    help="What it may: read, ingest (post bounces), sign (get return paths), admin (everything)."
    " Can be repeated.",
)
@click.pass_obj
def create(config: Path | None, username: str, scopes: tuple[str, ...]) -> None:
    """
    Make a token for USERNAME and print it. It is shown only this once: a hash of it is stored.

    \b
    Example:
      mtabounce token create newsletter --scope ingest --scope read
    """
    if not username or ":" in username or not username.isprintable():
        raise UsageError("a user name is printable, and has no colon")
    if username.isdecimal():
        raise UsageError("a user name is not of digits only: they are the number of a token")
    with connected(config) as conn:
        click.echo(tokens.create(conn, username, scopes))


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.pass_obj
def list_(config: Path | None, as_json: bool) -> None:
    """
    List the tokens there are, without themselves.

    \b
    Example:
      mtabounce token list
    """
    with connected(config) as conn:
        found = tokens.list_tokens(conn)
    if as_json:
        for one in found:
            print_json(one)
        return
    rows = [[one.id, one.username, one.scopes, one.created_at, one.revoked_at] for one in found]
    print_table(["id", "user name", "scopes", "made", "revoked"], rows)


@command.command()
@click.argument("which", metavar="ID|USERNAME")
@click.pass_obj
def revoke(config: Path | None, which: str) -> None:
    """
    Revoke the token with the number ID, or all of USERNAME; it is refused from now on.

    \b
    Example:
      mtabounce token revoke newsletter
    """
    with connected(config) as conn:
        count = tokens.revoke(conn, which)
    if not count:
        raise UsageError(f"there is no token of {which!r} to revoke")
    click.echo(f"{count} revoked")
