"""``mtabounce config``: write, check and show the configuration."""

import json
import tomllib
from collections.abc import Collection, Iterator
from itertools import groupby
from pathlib import Path
from shlex import quote
from typing import NamedTuple

import click

from mtabounce.assembly import check_rules
from mtabounce.config import Loaded
from mtabounce.config.describe import commented
from mtabounce.config.messages import label_of
from mtabounce.config.shape import Place, values
from mtabounce.doctor import patient_of
from mtabounce.doctor.overrides import Unseen, unseen
from mtabounce.errors import ConfigError, UsageError
from mtabounce.settings import Settings, load_with_origins
from mtabounce.store.policy import names_seen
from mtabounce.web.webhook_providers import check as check_webhooks

_FILE = click.Path(path_type=Path, dir_okay=False)


class _Value(NamedTuple):
    place: Place
    text: str | None  # as TOML; None: not set
    origin: str


@click.group()
def command() -> None:
    """
    Write, check and show the configuration.

    \b
    Example:
      mtabounce config init /etc/mtabounce/mtabounce.toml
    """


@command.command()
@click.argument("path", type=_FILE, default=Path("mtabounce.toml"))
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
def init(path: Path, force: bool) -> None:
    """
    Write a commented file with every key to PATH.

    PATH is ./mtabounce.toml if it is not given, and standard output if it is "-".

    \b
    Example:
      mtabounce config init - | less
    """
    if str(path) == "-":
        click.echo(commented(Settings), nl=False)
        return
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(commented(Settings))
    except FileExistsError:
        raise UsageError(f"{path} is there already; --force overwrites it") from None
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None
    click.echo(f"Wrote {path}. Edit it, then: mtabounce config check {path}")


@command.command()
@click.argument("path", type=_FILE, required=False)
@click.option(
    "--new",
    multiple=True,
    metavar="NAME",
    help="A list or campaign that an override names and that was never seen yet; can be repeated.",
)
@click.pass_obj
def check(config: Path | None, path: Path | None, new: tuple[str, ...]) -> None:
    """
    Say what is wrong with the configuration, or what it sets.

    Reads PATH, or the file that every command would read, and the environment. If the database
    answers, an override for a list or campaign that was never seen there is a fault, too, unless
    --new names it; a service would start with it all the same.
    Exits 78 if anything is wrong, after a line for each fault.

    \b
    Example:
      mtabounce config check /etc/mtabounce/mtabounce.toml
      mtabounce config check --new autumn.example.org
    """
    loaded = load_with_origins(path or config)
    check_rules(loaded.settings.rules)
    check_webhooks(loaded.settings.webhooks)
    note = _check_overrides(loaded, new)
    said = [value for value in _effective(loaded) if value.origin != "default"]
    keys = "1 key" if len(said) == 1 else f"{len(said)} keys"
    click.echo(f"{loaded.path or 'No configuration file'}: no fault found, {keys} set.")
    for value in said:
        click.echo(f"  {label_of(value.place, Settings)} = {value.text}  ({value.origin})")
    click.echo(note, nl=False)


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def show(config: Path | None, as_json: bool) -> None:
    """
    Show every value in effect, and where it comes from.

    That is a line of the file, a variable, or the default. Secrets are not shown, nor passwords in
    URLs.

    \b
    Example:
      mtabounce config show --json | jq '.values["http.listen"]'
    """
    loaded = load_with_origins(config)
    shown = list(_effective(loaded))
    if as_json:
        file = str(loaded.path) if loaded.path else None
        click.echo(json.dumps({"file": file, "values": dict(map(_json, shown))}, indent=2))
        return
    width = max(len(_line(value)) for value in shown)
    for section, inside in groupby(shown, key=lambda value: value.place[:-1]):
        click.echo(label_of(section, Settings))
        for value in inside:
            click.echo(f"{_line(value):{width}}  # {value.origin}")
        click.echo()


def _check_overrides(loaded: Loaded[Settings], new: Collection[str]) -> str:
    """
    Return what is to be said of lists and campaigns of overrides that could not be looked up.

    Raises ConfigError where one was never seen, and is not among *new*.
    """
    policy = loaded.settings.policy
    if not any(one.campaign or one.list_id for one in policy.override):
        return ""
    seen = patient_of(loaded.path).ask(names_seen)
    if seen is None:
        return "Not looked at, as the database does not answer: lists and campaigns of overrides.\n"
    known = {*new, *map(str.lower, new)}  # lists are compared in lower case, campaigns as they are
    faults = [one for one in unseen(policy, seen) if one.value not in known]
    if faults:
        raise ConfigError("\n".join(_never_seen(one, loaded.origin(one.place)) for one in faults))
    return ""


def _never_seen(one: Unseen, origin: str) -> str:
    mend = f"did you mean {one.close!r}? Or" if one.close else "write it as in the mail, or"
    return (
        f"{origin}: {label_of(one.place, Settings)}: nothing was ever seen of {one.value!r};"
        f" {mend}, where its first bounce is still to come, check with --new {quote(one.value)}"
    )


def _effective(loaded: Loaded[Settings]) -> Iterator[_Value]:
    for place, text in values(loaded.settings):
        yield _Value(place, text, loaded.origin(place))


def _line(value: _Value) -> str:
    if value.text is None:
        return f"# {value.place[-1]} is not set"
    return f"{value.place[-1]} = {value.text}"


def _json(value: _Value) -> tuple[str, dict[str, object]]:
    plain = None if value.text is None else tomllib.loads(f"value = {value.text}")["value"]
    return ".".join(map(str, value.place)), {"value": plain, "origin": value.origin}
