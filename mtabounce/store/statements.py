"""SQL lives in ``sql/*.sql``: statements with a name, and below it what the name does not say."""

import re
from functools import cache
from importlib.resources import files
from typing import LiteralString, cast

_NAME = re.compile(r"^-- name: *(\w+) *$", re.MULTILINE)


@cache
def statements(name: str) -> dict[str, LiteralString]:
    """
    Return the statements of ``sql/<name>.sql`` by their names, in the order of the file.

    A statement starts at a line ``-- name: its_name``. Raises ValueError where a name comes
    twice, or something other than a comment stands before the first: that is a bug.
    """
    text = files(__package__).joinpath(f"sql/{name}.sql").read_text(encoding="utf-8")
    head, *parts = _NAME.split(text)
    names, bodies = parts[::2], parts[1::2]
    stray = [line for line in head.splitlines() if line and not line.startswith("--")]
    if stray or len(set(names)) < len(names):
        raise ValueError(f"sql/{name}.sql: a statement without a name, or a name given twice")
    # The texts are part of the program, as literal as if they stood here.
    return {
        key: cast("LiteralString", body.strip()) for key, body in zip(names, bodies, strict=True)
    }
