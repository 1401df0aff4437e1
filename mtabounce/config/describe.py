"""Writes settings classes down: as a TOML file to start from, and as a table for people."""

from collections.abc import Iterator
from inspect import cleandoc
from itertools import groupby
from textwrap import wrap

from pydantic import BaseModel

from mtabounce.config.shape import Key, keys

_WIDTH = 96
_HEAD = """\
# Configuration of mtabounce.
#
# Every key is here, as a comment with its default; "is not set" has no value. A key may also
# be set by the environment variable MTABOUNCE_SECTION__KEY, which wins over this file.
# Relative paths start at this file's folder. Try your changes with: mtabounce config check
"""


def purpose(section: type[BaseModel]) -> str:
    """Return what *section* is for: its docstring in one paragraph."""
    return " ".join(cleandoc(section.__doc__ or "").split())


def commented(settings: type[BaseModel]) -> str:
    """Return a TOML file that says nothing yet, but names and explains every key."""
    sections = groupby(keys(settings), key=lambda key: (key.header, key.owner))
    parts = [_section(header, owner, list(inside)) for (header, owner), inside in sections]
    return "\n".join([_HEAD, *parts])


def _section(header: str, owner: type[BaseModel], inside: list[Key]) -> str:
    may_be_absent = "*" in inside[0].place  # with what is in it
    lines = [*_comment(purpose(owner)), f"#{header}" if may_be_absent else header]
    for key in inside:
        lines += ["", *_comment(key.description), _assignment(key)]
    return "\n".join(lines) + "\n"


def _comment(text: str) -> Iterator[str]:
    return (f"# {line}" for line in wrap(text, _WIDTH, break_on_hyphens=False))


def _assignment(key: Key) -> str:
    if key.default is not None:
        return f"#{key.name} = {key.default}"
    return f"#{key.name} =   # {key.kind}; {'needed' if key.field.is_required() else 'is not set'}"
