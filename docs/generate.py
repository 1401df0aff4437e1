"""
Writes the documents that follow from the program: schema, config, cli, rules and metrics.

    make docs                          writes them anew
    python -m docs.generate --check    exits 1 where one of them is stale, and names it

The same program gives the same text, whatever the terminal, the machine or the Python.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from itertools import groupby
from pathlib import Path
from pkgutil import walk_packages

import click
import prometheus_client
from prometheus_client.metrics import MetricWrapperBase

import mtabounce
from mtabounce import cli
from mtabounce.classify import load
from mtabounce.classify.rule import Rule
from mtabounce.config.describe import purpose
from mtabounce.config.shape import Key, keys
from mtabounce.reasons import Reason
from mtabounce.settings import Settings
from mtabounce.store.connection import connect_sync
from mtabounce.store.embedded import Embedded
from mtabounce.store.migrate import migrate
from mtabounce.store.schema import describe_schema, dump_schema

FOLDER = Path(__file__).parent
_GENERATED = "<!-- Made by `make docs` from the program itself: change that, not this file. -->\n"
_WIDTH = 100  # columns of a command's help


def main() -> None:
    """Write the documents, or with --check say which are stale."""
    parser = argparse.ArgumentParser(prog="python -m docs.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if stale")
    check = parser.parse_args().check
    stale = [name for name, make in DOCUMENTS.items() if _is_stale(name, make(), check)]
    for name in stale:
        print(os.path.normpath(f"docs/{name}"), "is stale: run `make docs`" if check else "written")
    sys.exit(1 if stale and check else 0)


def _is_stale(name: str, text: str, check: bool) -> bool:
    path = FOLDER / name
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    if not check:
        path.write_text(text, encoding="utf-8")
    return True


def document(title: str, introduction: str, parts: Iterable[str]) -> str:
    """Return a Markdown document with the line that says that it is generated."""
    return "\n".join([f"{_GENERATED}\n# {title}\n", f"{introduction.strip()}\n", *parts])


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    lines = [list(header), *(list(row) for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def code(text: str) -> str:
    """Return *text* as code within a line; "" stays empty."""
    fence = "``" if "`" in text else "`"
    padding = " " if "`" in text else ""
    return f"{fence}{padding}{text}{padding}{fence}" if text else ""


# ── config.md ────────────────────────────────────────────────────────────────────────────────

_CONFIG = """
One TOML file holds the configuration: the one that `--config` or `$MTABOUNCE_CONFIG` names, else
`./mtabounce.toml`, else `/etc/mtabounce/mtabounce.toml`. Without any, everything has a default
that works. `mtabounce config init` writes a file to start from, `config check` says what is wrong
with it, and `config show` says what is in effect and where it comes from.

Each key can also be set by an environment variable, which wins over the file. A list is written
there as JSON or with commas; a number is that of an item, from 0. An empty variable is as good as
none. Relative paths start at the folder of the file. A path may start with `~/`, or with
`$CREDENTIALS_DIRECTORY/`, where systemd puts credentials.

| written | means |
|---|---|
| `"90s"` `"5m"` `"1h30m"` `"30d"` | a duration, in ms, s, m, h, d and w |
| `"10MB"` `"64KiB"` `512` | a size in octets; KB, MB, GB count in 1000, KiB, MiB, GiB in 1024 |
| `"127.0.0.1:25"` `"[::1]:25"` `"/run/x.sock"` | an address to listen on: TCP, or a Unix socket |

A file that holds a secret must be open to its owner only (`chmod 600`); files in
`$CREDENTIALS_DIRECTORY` may have any mode. A mistake is told in one line, with the line of the
file or the name of the variable, and the program exits with 78.
"""


def config() -> str:
    """Return config.md: every key with its kind, default, variable and meaning."""
    sections = groupby(keys(Settings), key=lambda key: (key.header, purpose(key.owner)))
    parts = [_section(header, text, list(inside)) for (header, text), inside in sections]
    return document("Configuration", _CONFIG, parts)


def _section(header: str, text: str, inside: list[Key]) -> str:
    rows = [
        [
            code(key.name),
            key.kind,
            code(key.default or "") or ("needed" if key.field.is_required() else "not set"),
            "<br>".join(filter(None, [key.description, code(key.environment)])),
        ]
        for key in inside
    ]
    return f"## {header}\n\n{text}\n\n" + table(["key", "holds", "default", "is"], rows)


# ── cli.md ───────────────────────────────────────────────────────────────────────────────────

_CLI = """
Exit codes are those of sysexits(3): 0 is success, 64 a wrong use, 69 a database that is away,
75 "try again later", 78 a wrong configuration. As of any program, 130 is Ctrl-C, and 141 that what
reads the output, such as `head`, had enough.
"""


def commands(
    command: click.Command = cli.mtabounce, parent: click.Context | None = None
) -> Iterator[tuple[click.Command, click.Context]]:
    """Give *command* and all commands within it, with a context to ask for help in."""
    settings = {**command.context_settings, "terminal_width": _WIDTH, "max_content_width": _WIDTH}
    name = (command.name or "") if parent else "mtabounce"
    context = click.Context(command, parent=parent, info_name=name, **settings)
    yield command, context
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            if found is not None and not found.hidden:
                found.name = inner  # of a module's `command`: what the user types
                yield from commands(found, context)


def cli_reference() -> str:
    """Return cli.md: the help of every command."""
    parts = [
        f"## {context.command_path}\n\n```text\n{command.get_help(context).rstrip()}\n```\n"
        for command, context in commands()
    ]
    return document("Commands", _CLI, parts)


# ── rules.md ─────────────────────────────────────────────────────────────────────────────────

_RULES = """
A reply or a report gets the reason of the first rule that fits, in the order below; the reason
says whose fault it is, and how final. Rules of your own are tried before these: put TOML files
into a folder and name it as `[rules] folder`. A rule looks at the *effective* status and reply
code: those within the words of the remote server, else those of the report. Of each rule there
is one of its examples here; all of them are run as tests.

Two things no rule decides alone. What a server answers before RCPT TO (to the connection, HELO,
STARTTLS, AUTH or MAIL FROM), or with a code for logins (530, 534, 535, 538), cannot be about the
recipient: rules that would say so are passed over. And an answer with a 4xx code, or one that
says of itself that it may change ("temporarily", "try again later"), is never hard.
"""


def rules() -> str:
    """Return rules.md: the reasons, and every rule in the order in which they are tried."""
    classifier = load()
    reasons = table(["reason", "type", "fault", "is"], map(_reason, classifier.reasons.values()))
    files = groupby(classifier.rules, key=lambda rule: rule.file)
    parts = [f"## {name}\n\n" + _rule_table(list(inside)) for name, inside in files]
    return document("Reasons and rules", _RULES, [f"## Reasons\n\n{reasons}", *parts])


def _reason(reason: Reason) -> list[str]:
    text = f"{reason.description} {reason.note}".strip()
    return [code(reason.name), str(reason.type or "–"), str(reason.fault or "–"), text]


def _rule_table(inside: list[Rule]) -> str:
    return table(["rule", "gives", "where", "as in"], map(_rule, inside))


def _rule(rule: Rule) -> list[str]:
    where = "; ".join(f"{name} {code(text)}" for name, text in rule.conditions().items())
    example = rule.match[0] if rule.match else ""
    shown = (
        example if isinstance(example, str) else ", ".join(f"{k}: {v}" for k, v in example.items())
    )
    return [code(rule.id), code(rule.reason), where, code(" ".join(shown.split()))]


# ── metrics.md ───────────────────────────────────────────────────────────────────────────────

_METRICS = """
`GET /metrics` gives these in the text format of Prometheus. Labels have few values, never an
address.
"""


def metrics() -> str:
    """Return metrics.md: every collector that a module of the program registers."""
    labels = _labels()
    families = {
        family.name: family
        for family in prometheus_client.REGISTRY.collect()
        if family.name.startswith("mtabounce_")
    }
    rows = [
        [
            code(name + ("_total" if family.type == "counter" else "")),
            family.type,
            ", ".join(map(code, labels.get(name, ()))),
            family.documentation,
        ]
        for name, family in sorted(families.items())
    ]
    return document("Metrics", _METRICS, [table(["name", "type", "labels", "is"], rows)])


def _labels() -> dict[str, tuple[str, ...]]:
    """Import the whole program, and return the labels of each collector."""
    for module in walk_packages(mtabounce.__path__, "mtabounce."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    known = prometheus_client.REGISTRY._collector_to_names  # noqa: SLF001 (no other way to ask)
    return {
        collector._name: collector._labelnames  # noqa: SLF001 (no other way to ask)
        for collector in known
        if isinstance(collector, MetricWrapperBase)
    }


# ── schema.md ────────────────────────────────────────────────────────────────────────────────

_SCHEMA = """
The schema is an interface: columns keep their names and meanings. `\\d+` in psql shows the same
comments.
"""


def schema() -> str:
    """Return schema.md, asked of a fresh database."""
    with fresh_database() as url:
        return schema_of(url)


def schema_statements() -> str:
    """Return the sum of the migrations, asked of a fresh database."""
    with fresh_database() as url:
        return dump_schema(url)


@contextmanager
def fresh_database() -> Iterator[str]:
    """Give the URL of a migrated database."""
    with tempfile.TemporaryDirectory(prefix="mtabounce-docs-") as folder:
        state = Path(folder)
        state.chmod(0o711)  # for root, PostgreSQL runs as another user
        with Embedded(state / "state") as server:
            migrate(server.url)
            yield server.url


def schema_of(url: str) -> str:
    """Return schema.md of the migrated database *url*."""
    with connect_sync(url, application_name="docs") as conn:
        return document("Schema", _SCHEMA, [describe_schema(conn)])


DOCUMENTS: dict[str, Callable[[], str]] = {
    "cli.md": cli_reference,
    "config.md": config,
    "metrics.md": metrics,
    "rules.md": rules,
    "schema.md": schema,
    "../mtabounce/store/sql/schema.sql": schema_statements,
}

if __name__ == "__main__":
    main()
