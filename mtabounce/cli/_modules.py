"""A group whose commands are the modules of a package."""

import ast
import sys
from importlib import import_module
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import click


class Modules(click.Group):
    """
    Finds its commands in *package*: each module there declares ``command``.

    A module's name, with dashes for underscores, is what the user types; import_ is import, which
    Python keeps for itself. Modules are imported when they are called; what the help says of them
    is read from their source, because to import all of them takes a second.
    """

    def __init__(self, *args: Any, package: str, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self._package = package

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, sorted."""
        del ctx
        names = [module.name for module in iter_modules(sys.modules[self._package].__path__)]
        return sorted(
            name.rstrip("_").replace("_", "-") for name in names if not name.startswith("_")
        )

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command *cmd_name*; None where there is none."""
        if cmd_name not in self.list_commands(ctx):
            return None
        found: click.Command = import_module(self._module(cmd_name)).command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each command with the first paragraph of its help, whole."""
        rows = [(name, _said_of(self._module(name))) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def _module(self, command: str) -> str:
        name = command.replace("-", "_")
        builtin = iskeyword(name) or name in ("list", "set")
        return f"{self._package}.{name}{'_' if builtin else ''}"


def _said_of(module: str) -> str:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise LookupError(f"there is no module {module}")
    for statement in ast.parse(Path(spec.origin).read_bytes()).body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "command":
            return " ".join((ast.get_docstring(statement) or "").split("\n\n")[0].split())
    raise LookupError(f"{spec.origin} defines no function `command`")
