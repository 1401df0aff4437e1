"""``mtabounce suppressions import``: suppressions of others."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import click

from mtabounce.cli._database import connected
from mtabounce.cli._saying import say_all
from mtabounce.cli.suppressions._lists import Broken, Listed, read_list
from mtabounce.errors import InputRejected
from mtabounce.pipeline.words import Word
from mtabounce.store import suppressions as store


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--strict", is_flag=True, help="Take nothing where one line is broken.")
@click.option("--why", default="", help="Why, where the file does not say it.")
@click.pass_obj
def command(config: Path | None, file: BinaryIO, strict: bool, why: str) -> None:
    """
    Suppress the addresses of FILE: one a line, or CSV whose first line names the columns.

    Columns are recipient (or email, address), reason, scope (all, list:ID, campaign:NAME) and
    until; others are ignored. Broken lines are named, and the rest is taken. What was imported or
    added before stays as it is. An address that its bounces suppress is taken, too, and stays
    suppressed when these are forgiven.

    \b
    Example:
      mtabounce suppressions import unsubscribed.csv --why "from the old system"
    """
    entries = list(read_list(file, datetime.now(UTC)))
    broken = [one for one in entries if isinstance(one, Broken)]
    for one in broken:
        click.echo(f"line {one.line}: {one.why}", err=True)
    if broken and (strict or len(broken) == len(entries)):
        raise InputRejected(f"{_lines(len(broken))} broken, so nothing was imported")
    listed = [one for one in entries if isinstance(one, Listed)]
    known = _known(config, listed)
    wanted = {(one.recipient, one.scope): one for one in listed}
    words = [_word(one, why) for mark, one in wanted.items() if not _lasts(known.get(mark), one)]
    say_all(config, words, at_once=strict)
    were = len(wanted) - len(words)
    click.echo(f"{len(words)} suppressed, {were} were already, {_lines(len(broken))} broken.")


def _known(
    config: Path | None, listed: Sequence[Listed]
) -> dict[tuple[str, str], store.StoredSuppression]:
    """Return what operators suppressed already, by address and scope."""
    with connected(config) as conn:
        there = store.check_addresses(conn, sorted({one.recipient for one in listed}))
    return {(one.recipient, one.scope): one for one in there if one.cause == "manual"}


def _lasts(known: store.StoredSuppression | None, wanted: Listed) -> bool:
    """Tell whether *known* holds as long as *wanted* would."""
    if known is None or known.until is None:
        return known is not None
    return wanted.until is not None and known.until >= wanted.until


def _word(one: Listed, why: str) -> Word:
    return Word(
        recipient=one.recipient,
        action="add",
        why=one.why or why or "import",
        scope=one.scope,
        until=one.until,
    )


def _lines(count: int) -> str:
    return f"{count} line is" if count == 1 else f"{count} lines are"
