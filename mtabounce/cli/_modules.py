"""A group whose commands are the modules of a package."""

import sys
from importlib import import_module
from keyword import iskeyword
from pkgutil import iter_modules
from typing import Any

import click


class Modules(click.Group):
    """
    Finds its commands in *package*: each module there declares ``command``.

    A module's name, with dashes for underscores, is what the user types; import_ is import, which
    Python keeps for itself. Modules are imported when they are called.
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
        name = cmd_name.replace("-", "_")
        builtin = iskeyword(name) or name in ("list", "set")
        module = import_module(f"{self._package}.{name}{'_' if builtin else ''}")
        found: click.Command = module.command
        return found
