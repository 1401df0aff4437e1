"""A folder is a registry: a plug-in is one new module in it, and nothing else changes."""

from importlib import import_module
from pkgutil import iter_modules
from typing import TypeVar

T = TypeVar("T")


def discover(package: str, kind: type[T]) -> dict[str, T]:
    """
    Return the one *kind* that each module of *package* declares, by module name, sorted.

    A module whose name starts with an underscore is a helper that plug-ins share.
    Raises ValueError where a module declares none, or two.
    """
    found: dict[str, T] = {}
    for info in sorted(iter_modules(import_module(package).__path__), key=lambda info: info.name):
        if info.name.startswith("_"):
            continue
        module = import_module(f"{package}.{info.name}")
        declared = [value for value in vars(module).values() if isinstance(value, kind)]
        if len(declared) != 1:
            raise ValueError(
                f"{module.__name__} declares {len(declared)} of {kind.__name__}, not 1"
            )
        found[info.name] = declared[0]
    return found
