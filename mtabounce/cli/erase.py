"""``mtabounce erase``: an address leaves everything that is kept."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import click

from mtabounce.address import recipient_key
from mtabounce.cli._asking import agreed
from mtabounce.cli._database import connected
from mtabounce.cli._output import print_json, print_table
from mtabounce.cli._progress import count_bar
from mtabounce.errors import UsageError
from mtabounce.pipeline.erasing import Erased, erase
from mtabounce.settings import load_settings
from mtabounce.store import erasure as store
from mtabounce.store.state import spool_directory

_OUT_OF_REACH = (
    "Out of reach: the logs of your mail servers, backups and dumps of the database, what sinks"
    " were told already, your own lists, and space that PostgreSQL has not used again yet.\n"
    "Tables that `suppressions export` made still name it: make them anew. They cannot hold an"
    " erased address, so servers that read them take mail for it again: let these ask mtabounce."
)


@click.command()
@click.argument("address")
@click.option(
    "--forget",
    is_flag=True,
    help="Keep no hash either: it is no longer suppressed, and later reports about it are kept.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def command(config: Path | None, address: str, forget: bool, yes: bool, as_json: bool) -> None:
    """
    Erase an address from all tables, raw mails and files, and suppress it by a keyed hash.

    What is later reported about it is not kept. Mails that name it are deleted whole; rows about
    others stay, without the address. Sinks are not told, neither of the erasure nor of what still
    waits to be told about the address. `mtabounce suppressions remove` lets it be mailed again.

    \b
    Example:
      mtabounce erase ann@example.org
    """
    recipient = recipient_key(address)
    with connected(config) as conn:
        if "@" not in recipient and not store.count_rows(conn, recipient):
            raise UsageError(f"{address!r} is no address, and nothing is held about such a name")
    spool = spool_directory(load_settings(config).state)
    with connected(config) as conn:
        counts = store.count_rows(conn, recipient)
        if counts["inputs"] == 0:
            counts["inputs"] = len(store.inputs_of(conn, recipient))
        if not as_json:
            _show("WOULD GO", +counts)
            if not +counts:
                click.echo(f"No table holds anything about {recipient}: is it the right address?")
            click.echo("Mails, refused requests and rows about others that name it go, too.")
        after = "nothing of it is kept" if forget else "a hash of it stays, and suppresses it"
        if not agreed(f"Erase {recipient}? It cannot be undone; {after}.", yes=yes):
            return
        with count_bar() as bar:
            total = store.count_contents(conn)
            looked = partial(bar.track, total=total, description="looking through inputs")
            done = erase(conn, recipient, spool, looked, forget=forget)
    if as_json:
        told = {name: getattr(done, name) for name in ("rows", "redacted", "files", "waiting")}
        print_json(told | {"out_of_reach": _OUT_OF_REACH})
    else:
        _tell(done)


def _tell(done: Erased) -> None:
    _show("WENT", +done.rows)
    _show("NO LONGER NAME IT", done.redacted)
    for name in done.files:
        click.echo(f"{name}: deleted from the spool")
    for name in done.waiting:
        click.echo(f"{name}: waits in the spool: erase again when mtabounce serve has read it")
    click.echo(_OUT_OF_REACH)


def _show(title: str, counts: Mapping[str, int]) -> None:
    if counts:
        print_table((title, "ROWS"), sorted(counts.items()))
