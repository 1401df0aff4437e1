"""What ``--help`` lists of a group: each command in its own words; and what is imported when."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from mtabounce.cli import mtabounce
from mtabounce.cli._modules import Modules

GROUPS = {"": mtabounce} | {
    name: command
    for name in mtabounce.list_commands(click.Context(mtabounce))
    if isinstance(command := mtabounce.get_command(click.Context(mtabounce), name), Modules)
}


@pytest.mark.parametrize("group", GROUPS)
def test_help_of_group_says_of_commands_what_they_say_first(group):
    said = CliRunner().invoke(mtabounce, [*group.split(), "--help"], terminal_width=500).output
    listed = said.partition("Commands:")[2].splitlines()

    commands = {
        name: GROUPS[group].get_command(click.Context(GROUPS[group]), name)
        for name in GROUPS[group].list_commands(click.Context(GROUPS[group]))
    }
    assert commands
    for name, command in commands.items():
        first = (command.help or "").strip().split("\n\n")[0]
        (line,) = [line for line in listed if line.split()[:1] == [name]]
        assert line.split(maxsplit=1)[1] == " ".join(first.split())


def test_help_imports_no_command():
    program = (
        "import sys, mtabounce.cli as cli\n"
        "try: cli.mtabounce(['--help'])\n"
        "except SystemExit: print(*sys.modules, file=sys.stderr)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )

    assert "Commands:" in run.stdout
    assert "mtabounce.cli._modules" in run.stderr.split()
    assert not {f"mtabounce.cli.{name}" for name in ("serve", "bounces", "webhook")} & set(
        run.stderr.split()
    )


def test_settings_are_read_without_the_parts_that_they_are_for():
    program = (
        "import sys; from mtabounce.settings import load_settings\n"
        "load_settings(None, {}); print(*sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )

    parts = {f"mtabounce.{name}" for name in ("classify", "parsers", "providers", "logs", "lookup")}
    heavy = {"re2", "ahocorasick_rs", "cryptography", "starlette", "imapclient", "jmespath"}
    assert not (parts | heavy | {"prometheus_client"}) & set(run.stdout.split())
