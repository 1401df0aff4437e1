"""``mtabounce suppressions``: whom we do not mail; add, take back, bring in, hand out."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import click

from mtabounce.address import normalize, recipient_key
from mtabounce.cli._asking import Length, agreed
from mtabounce.cli._database import connected
from mtabounce.cli._listing import listed, of_recipients
from mtabounce.cli._lists import (
    FOR_SERVERS,
    FORMATS,
    Broken,
    Listed,
    is_scope,
    read_list,
    replace_file,
)
from mtabounce.cli._output import Since, print_json, print_table
from mtabounce.cli._saying import say_all
from mtabounce.errors import InputRejected, UsageError
from mtabounce.pipeline.operators import Word
from mtabounce.policy import EVERYWHERE
from mtabounce.store import suppressions as store

CAUSES = ("hard", "soft", "complaint", "hold", "manual")
_SHOWN = 50  # of what would be undone; the rest is counted


@click.group()
def command() -> None:
    """
    Whom not to mail: list, add, take back, bring in, hand out.

    What is done here is written down in mtabounce.decisions, with your name.

    \b
    Example:
      mtabounce suppressions list --cause hard --since 7d
      mtabounce suppressions undo --rule status-5.1.1 --since 2026-11-23T10:00
    """


@command.command("list")
@of_recipients("user_unknown")
@click.option("--cause", type=click.Choice(CAUSES), help="Only those of this cause.")
@click.option("--scope", help="Only those of this scope: all, list:ID, campaign:NAME.")
@listed("Only those begun since")
@click.pass_context
def list_(
    ctx: click.Context,
    recipient: str | None,
    domain: str | None,
    cause: str | None,
    reason: str | None,
    scope: str | None,
    since: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """
    List suppressions that hold now, the latest first.

    \b
    Example:
      mtabounce suppressions list --domain example.org
    """
    with connected(ctx.obj) as conn:
        found = store.list_suppressions(
            conn,
            recipient=recipient and recipient_key(recipient),
            domain=domain and domain.lower(),
            cause=cause,
            reason=reason,
            scope=scope,
            since=since,
            limit=limit,
        )
    _show(found, as_json=as_json)


@command.command()
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")
@click.option("--why", default="", help="Why, in your words; it is kept and shown.")
@click.option("--for", "lasts", type=Length(), help="For how long: 30d, 12h.  [default: for good]")
@click.option(
    "--scope", default=EVERYWHERE, show_default=True, help="all, list:ID or campaign:NAME."
)
@click.pass_obj
def add(
    config: Path | None, addresses: Sequence[str], why: str, lasts: timedelta | None, scope: str
) -> None:
    """
    Suppress addresses, whatever policy says.

    \b
    Example:
      mtabounce suppressions add ann@example.org --why "asked by phone"
    """
    if not is_scope(scope):
        raise UsageError(f"{scope!r} is no scope: write all, list:ID or campaign:NAME")
    now = datetime.now(UTC)
    until = now + lasts if lasts else None
    words = [
        Word(recipient=_normal(one), action="add", why=why, scope=scope, until=until)
        for one in addresses
    ]
    say_all(config, words, now)
    click.echo(f"{len(words)} suppressed.")


@command.command()
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")
@click.option("--why", default="", help="Why, in your words; it is kept and shown.")
@click.pass_obj
def remove(config: Path | None, addresses: Sequence[str], why: str) -> None:
    """
    Mail addresses again: all that happened to them before is forgiven, and does not count.

    \b
    Example:
      mtabounce suppressions remove ann@example.org --why "mailbox works again"
    """
    recipients = [_normal(one) for one in addresses]
    with connected(config) as conn:
        known = {one.recipient for one in store.check_addresses(conn, recipients)}
    for one in recipients:
        if one not in known:
            click.echo(f"{one} is not suppressed.", err=True)
    words = [Word(recipient=one, action="remove", why=why) for one in recipients if one in known]
    say_all(config, words, datetime.now(UTC))
    click.echo(f"{len(words)} removed.")


@command.command()
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a suppression.")
@click.pass_context
def check(ctx: click.Context, addresses: Sequence[str], as_json: bool) -> None:
    """
    Say which of the addresses are suppressed now. Exits 1 where one is.

    \b
    Example:
      mtabounce suppressions check ann@example.org && echo "mail her"
    """
    recipients = [_normal(one) for one in addresses]
    with connected(ctx.obj) as conn:
        found = store.check_addresses(conn, recipients)
    if as_json:
        _show(found, as_json=True)
    else:
        against: dict[str, list[str]] = {one: [] for one in recipients}
        for one in found:
            against[one.recipient].append(_in_words(one))
        for recipient, words in against.items():
            click.echo(f"{recipient}: {'; '.join(words) or 'not suppressed'}")
    ctx.exit(1 if found else 0)


@command.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--strict", is_flag=True, help="Take nothing where one line is broken.")
@click.option("--why", default="", help="Why, where the file does not say it.")
@click.pass_obj
def import_(config: Path | None, file: BinaryIO, strict: bool, why: str) -> None:
    """
    Suppress the addresses of FILE: one a line, or CSV whose first line names the columns.

    Columns are recipient (or email, address), reason, scope (all, list:ID, campaign:NAME) and
    until; others are left out. Broken lines are named, and the rest is taken. An address that is
    there already stays as it is.

    \b
    Example:
      mtabounce suppressions import unsubscribed.csv --why "from the old system"
    """
    entries = list(read_list(file))
    broken = [one for one in entries if isinstance(one, Broken)]
    for one in broken:
        click.echo(f"line {one.line}: {one.why}", err=True)
    if broken and strict:
        raise InputRejected(f"{len(broken)} lines are broken, so nothing was imported")
    listed = {(one.recipient, one.scope): one for one in entries if isinstance(one, Listed)}
    with connected(config) as conn:
        there = store.check_addresses(conn, sorted({one.recipient for one in listed.values()}))
    known = {(one.recipient, one.scope) for one in there if one.until is None}
    words = [
        Word(
            recipient=one.recipient,
            action="add",
            why=one.why or why or "import",
            scope=one.scope,
            until=one.until,
        )
        for mark, one in listed.items()
        if mark not in known
    ]
    say_all(config, words, datetime.now(UTC), at_once=strict)
    click.echo(f"{len(words)} suppressed, {len(known)} were already, {len(broken)} lines broken.")


@command.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    default="csv",
    show_default=True,
    help="csv, json (a line each), a table for postmap (access or transport), or for Exim.",
)
@click.option("--scope", help="Only this scope.  [default: every; for mail servers: all]")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to a file.")
@click.pass_obj
def export(config: Path | None, form: str, scope: str | None, output: Path | None) -> None:
    """
    Hand out the suppressions that hold now.

    A file is replaced as a whole, so that nobody reads half of it.

    \b
    Example:
      mtabounce suppressions export --format postfix --output /etc/postfix/suppressed
      mtabounce suppressions export > suppressed.csv
    """
    if scope is None and form in FOR_SERVERS:
        scope = EVERYWHERE
    with connected(config) as conn:
        lines = FORMATS[form](store.export_suppressions(conn, scope))
        if output:
            replace_file(output, lines)
        else:
            sys.stdout.writelines(lines)


@command.command()
@click.argument("addresses", nargs=-1, metavar="[ADDRESS]...")
@click.option("--cause", type=click.Choice(CAUSES), help="Those of this cause.")
@click.option("--rule", help="Those whose bounce this rule decided on.")
@click.option("--incident", type=int, help="Those of an incident that was confirmed.")
@click.option("--since", type=Since(), help="Those that began since: 7d, 12h, 2026-11-23T10:00.")
@click.option("--until", type=Since(), help="Those that began before: 2026-11-23T17:00.")
@click.option("--why", default="", help="Why, in your words; it is kept and shown.")
@click.option("--dry-run", is_flag=True, help="Show what it would do, and do nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def undo(
    config: Path | None,
    addresses: Sequence[str],
    cause: str | None,
    rule: str | None,
    incident: int | None,
    since: datetime | None,
    until: datetime | None,
    why: str,
    dry_run: bool,
    yes: bool,
) -> None:
    """
    Take back the suppressions that fit all that is said, and forgive the bounces behind them.

    Other evidence still counts: where there is some, an address stays suppressed by it. Complaints,
    and what was added by hand, are only undone where an address, the cause or the rule is named.

    \b
    Example:
      mtabounce suppressions undo --rule google-user-unknown --since 2026-12-14T21:00
      mtabounce suppressions undo ann@example.org
    """
    recipients = [_normal(one) for one in addresses] or None
    selection = store.Selection(
        recipients=recipients,
        cause=cause,
        rule=rule,
        incident=incident,
        since=since,
        until=until,
    )
    if selection == store.Selection():
        raise UsageError("say which: an address, --cause, --rule, --incident, --since or --until")
    with connected(config) as conn:
        found = store.undoable(conn, selection)
    _show_undoable(found)
    if not found or dry_run or not agreed("Undo them?", yes=yes):
        return
    words = [
        Word(
            recipient=one.recipient,
            action="remove",
            why=why or _described(selection),
            forgives=tuple(one.forgives),
            undoes=tuple(one.undoes),
        )
        for one in found
    ]
    say_all(config, words, datetime.now(UTC))
    with connected(config) as conn:
        left = store.check_addresses(conn, sorted({one.recipient for one in found}))
    click.echo(f"{len(found)} undone; {len(left)} stay suppressed by other evidence.")


def _show(found: Sequence[store.StoredSuppression], *, as_json: bool) -> None:
    if as_json:
        for one in found:
            print_json(one)
        return
    print_table(
        ("SINCE", "UNTIL", "RECIPIENT", "CAUSE", "REASON", "SCOPE", "BOUNCE", "WHY"),
        [
            (one.since, one.until, one.recipient, one.cause, one.reason, one.scope, one.bounce_id,
             one.why)
            for one in found
        ],
    )  # fmt: skip


def _show_undoable(found: Sequence[store.Undoable]) -> None:
    if not found:
        click.echo("No suppression fits.")
        return
    print_table(
        ("SINCE", "RECIPIENT", "CAUSE", "REASON", "SCOPE", "FORGIVES"),
        [
            (one.since, one.recipient, one.cause, one.reason, one.scope, _forgiven(one))
            for one in found[:_SHOWN]
        ],
    )
    if len(found) > _SHOWN:
        click.echo(f"… and {len(found) - _SHOWN} more: {len(found)} in all.")


def _forgiven(one: store.Undoable) -> str:
    if one.undoes:
        return "what an operator added"
    kind = "bounce" if len(one.forgives) == 1 else "bounces"
    return f"{len(one.forgives)} {kind}" if one.forgives else "all that was"


def _described(selection: store.Selection) -> str:
    told = {"cause": selection.cause, "rule": selection.rule, "incident": selection.incident}
    words = [f"{name} {value}" for name, value in told.items() if value]
    if selection.since:
        words.append(f"since {selection.since:%Y-%m-%d %H:%M}")
    if selection.until:
        words.append(f"until {selection.until:%Y-%m-%d %H:%M}")
    return f"undone by {', '.join(words) or 'address'}"


def _in_words(one: store.StoredSuppression) -> str:
    until = f" until {one.until:%Y-%m-%d}" if one.until else ""
    scope = "" if one.scope == EVERYWHERE else f" for {one.scope}"
    why = f": {one.reason}" if one.reason else ""
    return f"suppressed{scope} since {one.since:%Y-%m-%d}{until}, {one.cause}{why}"


def _normal(address: str) -> str:
    try:
        return normalize(address)
    except ValueError as error:
        raise UsageError(str(error)) from None
