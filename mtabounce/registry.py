"""A folder is a registry: a plug-in is one new module in it, and nothing else changes."""

from importlib import import_module
from pkgutil import iter_modules
from typing import TypeVar

T = TypeVar("T")


def names(package: str) -> list[str]:
    """
    Return the names of the modules of *package* that are plug-ins, sorted, without importing them.

    A module whose name starts with an underscore is a helper that plug-ins share.
    """
    modules = iter_modules(import_module(package).__path__)
    return sorted(module.name for module in modules if not module.name.startswith("_"))


def discover(package: str, kind: type[T]) -> dict[str, T]:
    """
    Return the one *kind* that each module of *package* declares, by module name, sorted.

    Raises ValueError where a module declares none, or two.
    """
    found: dict[str, T] = {}
    for name in names(package):
        module = import_module(f"{package}.{name}")
        declared = [value for value in vars(module).values() if isinstance(value, kind)]
        if len(declared) != 1:
            raise ValueError(
                f"{module.__name__} declares {len(declared)} of {kind.__name__}, not 1"
            )
        found[name] = declared[0]
    return found
