"""``mtabounce webhook doctor``: is it set up, does anything arrive, and if not, why."""

from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from psycopg import Connection

from mtabounce.cli._database import connected
from mtabounce.cli._output import print_json
from mtabounce.cli.webhook._advice import mend_for, section_for
from mtabounce.cli.webhook._common import checked_settings, masked, url_of
from mtabounce.errors import MtabounceError, UsageError
from mtabounce.mask import harmless
from mtabounce.providers import Provider, discover, provider
from mtabounce.settings import Settings
from mtabounce.store import webhooks as store
from mtabounce.web.webhook_providers import provider_of
from mtabounce.web.webhook_settings import WebhookSettings
from mtabounce.web.webhooks import PATH

_SHOWN = 3  # refused requests; more with --all
_BODY = 2_000  # characters of one that are shown


@dataclass(slots=True)
class Found:
    """All that is known of one webhook."""

    name: str
    provider: Provider
    settings: WebhookSettings | None  # None: there is no section
    counts: store.Counts
    refusals: list[store.Refusal] = field(default_factory=list)
    not_understood: list[store.NotUnderstood] = field(default_factory=list)


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "every", is_flag=True, help="Show all refused requests that are kept.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a webhook.")
@click.pass_context
def command(ctx: click.Context, names: tuple[str, ...], every: bool, as_json: bool) -> None:
    """
    Say how the webhooks NAME are set up, and what they took and refused lately.

    NAME is a section [webhooks.NAME], or a provider: then it says what to write, and what to click
    in the provider's console. Without NAME, all that are set up are looked at. Of each refused
    request it says why, what to do, and shows the body, with secrets masked.

    \b
    Example:
      mtabounce webhook doctor
      mtabounce webhook doctor sendgrid
    """
    config: Path | None = ctx.obj
    settings = checked_settings(config)
    wanted = names or tuple(settings.webhooks)
    if strange := sorted(set(wanted) - set(settings.webhooks) - set(discover())):
        known = ", ".join([*settings.webhooks, *discover()])
        raise UsageError(f"there is no webhook or provider {strange[0]}; there are: {known}")
    if not wanted:
        click.echo("No webhook is set up. `mtabounce webhook list` names the providers; then:")
        click.echo("  mtabounce webhook doctor PROVIDER")
        return
    with ExitStack() as stack:
        conn = _connection(stack, config)
        for found in (
            _look(conn, settings, name, store.MOST if every else _SHOWN) for name in wanted
        ):
            if as_json:
                print_json(_as_json(found, settings))
            else:
                _show(found, settings)


def _connection(stack: ExitStack, config: Path | None) -> Connection[Any] | None:
    """Return a connection, or None: what is wrong with the set-up can be seen without."""
    try:
        return stack.enter_context(connected(config))
    except MtabounceError as error:
        click.echo(f"Nothing is known of requests: {error}\n", err=True)
        return None


def _look(conn: Connection[Any] | None, settings: Settings, name: str, limit: int) -> Found:
    one = settings.webhooks.get(name)
    whose = provider_of(name, one) if one else provider(name)
    found = Found(name, whose, one, store.Counts(name))
    if conn is not None:
        found.counts = store.counts(conn).get(name, found.counts)
        found.refusals = store.refusals(conn, name, limit)
        found.not_understood = store.not_understood(conn, name, limit)
    return found


def _state(found: Found) -> str:
    if found.settings is None:
        return "not set up"
    if not found.settings.is_on():
        return "off: it has no secret, and refuses everything"
    return "open to anybody (auth = none)" if found.settings.auth == "none" else "on"


def _proofs(one: WebhookSettings) -> str:
    said = {
        "signature": len(one.secret_files),
        "user name and password": len(one.passwords()),
        "token": len(one.token_files),
        "topics of SNS": len(one.topic_arns),
    }
    counted = (f"{what} ({count})" if count > 1 else what for what, count in said.items() if count)
    return " and ".join(counted)


def _show(found: Found, settings: Settings) -> None:
    click.secho(f"{found.name} ({found.provider.title}): {_state(found)}", bold=True)
    _line("URL", f"https://YOUR-HOST{PATH}{found.name}")
    if here := url_of(settings.http, found.name):
        _line("", f"on this host {here}; let your reverse proxy pass it on")
    _line("there", found.provider.table.console)
    _line("documents", found.provider.table.docs)
    if found.settings is None or not found.settings.is_on():
        for number, text in enumerate(section_for(found.name, found.provider)):
            _line("" if number else "write", text)
    else:
        _line("proof", _proofs(found.settings))
    counts = found.counts
    _line("accepted", _times(counts.accepted, counts.accepted_at))
    _line("refused", _times(counts.refused, counts.refused_at, counts.why))
    for one in found.not_understood:
        _line("unclear", f"input {one.id}, {_moment(one.received_at)}: {one.error}")
    needs_trust = found.settings is not None and found.settings.shows_its_secret()
    for refusal in found.refusals:
        _show_refusal(refusal, " --trust" if needs_trust else "")
    click.echo()


def _show_refusal(one: store.Refusal, trust: str) -> None:
    click.echo(f"\n  refused request {one.id}, {_moment(one.refused_at)}, from {one.peer}")
    _line("  why", f"{one.status}: {one.why}")
    _line("  do", mend_for(one))
    headers = (f"{name}: {value}" for name, value in one.headers.items())
    _line("  headers", masked("; ".join(headers)))
    _line("  body", _body(one))
    if one.size == len(one.body):
        _line("  replay", f"mtabounce webhook replay {one.webhook} {one.id}{trust}")


def _body(one: store.Refusal) -> str:
    shown = harmless(masked(one.body[:_BODY].decode("utf-8", "replace")), " ")
    return f"{shown} … ({one.size:,} octets)" if one.size > _BODY else shown


def _line(name: str, text: str) -> None:
    if text:
        click.echo(f"  {name:<12}{text}")


def _times(count: int, last: datetime | None, why: str = "") -> str:
    if not count:
        return "nothing yet"
    return f"{count:,}, last {_moment(last)}" + (f": {why}" if why else "")


def _moment(at: datetime | None) -> str:
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S") if at else "never"


def _as_json(found: Found, settings: Settings) -> dict[str, Any]:
    refusals = [
        {name: value for name, value in asdict(one).items() if name != "body"}
        | {"body": _body(one), "mend": mend_for(one)}
        for one in found.refusals
    ]
    return {
        "name": found.name,
        "provider": found.provider.name,
        "state": _state(found),
        "url": url_of(settings.http, found.name),
        "console": found.provider.table.console,
        "docs": found.provider.table.docs,
        "section": section_for(found.name, found.provider),
        "counts": asdict(found.counts),
        "refusals": refusals,
        "not_understood": [asdict(one) for one in found.not_understood],
    }
