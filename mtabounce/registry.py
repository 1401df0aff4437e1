"""A folder is a registry: a plug-in is one new module in it, and nothing else changes."""

from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import TypeVar

T = TypeVar("T")


def names(package: str) -> list[str]:
    """
    Return the names of the plug-ins of *package*, which are modules, sorted; none is imported.

    A module whose name starts with an underscore is a helper that plug-ins share. Raises ValueError
    where there is no such package.
    """
    spec = find_spec(package)
    if spec is None:
        raise ValueError(f"there is no package {package}")
    modules = iter_modules(spec.submodule_search_locations)
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
