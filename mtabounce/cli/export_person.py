"""``mtabounce export-person``: everything that is held about an address."""

import json
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import click
from psycopg import Connection

from mtabounce.address import recipient_key
from mtabounce.cli._database import connected
from mtabounce.cli._output import print_json
from mtabounce.errors import UsageError
from mtabounce.pipeline.erasing import named_in_inputs
from mtabounce.store import erasure as store
from mtabounce.store.inputs import get_content


@click.command()
@click.argument("address")
@click.option(
    "--raw",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    metavar="FILE.zip",
    help="Also write the mails that name it, and the JSON, into this file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print it as one line.")
@click.pass_obj
def command(config: Path | None, address: str, raw: Path | None, as_json: bool) -> None:
    """
    Print everything that is held about an address, as JSON: for a person who asks what you know.

    Rows of each table, the inputs that name it, and who was told of it. Mails may tell of others,
    too: look at them before you hand them out.

    \b
    Example:
      mtabounce export-person ann@example.org --raw ann.zip
    """
    recipient = recipient_key(address)
    with connected(config) as conn:
        held = _held(conn, recipient)
        if raw:
            _pack(conn, raw, held)
    if as_json:
        print_json(held)
    else:
        click.echo(json.dumps(held, indent=2, ensure_ascii=False))


def _held(conn: Connection[Any], recipient: str) -> dict[str, Any]:
    ids = {*store.inputs_of(conn, recipient), *named_in_inputs(conn, recipient)}
    tables = dict(store.rows_about(conn, recipient))
    told = sorted({row["sink"] for row in tables.get("outbox", []) if row["state"] == "sent"})
    return {
        "address": recipient,
        "erased": store.is_erased(conn, recipient),
        "told": told,
        **tables,
        "inputs": store.input_rows(conn, sorted(ids)),
    }


def _pack(conn: Connection[Any], path: Path, held: dict[str, Any]) -> None:
    try:
        path.touch(0o600)  # it is about a person
        with ZipFile(path, "w", ZIP_DEFLATED) as archive:
            archive.writestr("held.json", json.dumps(held, indent=2, ensure_ascii=False))
            for row in held["inputs"]:
                name = f"{row['id']}.eml"
                archive.writestr(f"inputs/{name}", get_content(conn, row["id"]) or b"")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None
