"""Who gives a command, and whether they mean it."""

import os
import pwd
import sys
from datetime import timedelta

import click
from pydantic import TypeAdapter, ValidationError

from mtabounce.config import Duration
from mtabounce.errors import UsageError

_DURATION: TypeAdapter[timedelta] = TypeAdapter(Duration)


class Length(click.ParamType[timedelta]):
    """A length of time: 30m, 12h, 7d."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Return *value* as a length of time."""
        try:
            length = _DURATION.validate_python(value)
        except ValidationError:
            self.fail(f"{value!r} is no length of time: write 30d, 12h, 30m", param, ctx)
        if not length:
            self.fail("must be longer than 0s", param, ctx)
        return length


def operator() -> str:
    """Return the name of who gives the command, behind sudo too."""
    if name := os.environ.get("SUDO_USER"):
        return name
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def agreed(question: str, *, yes: bool) -> bool:
    """Ask *question*, unless *yes*; raises UsageError where nobody can be asked."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError("nothing was changed: say --yes where nobody can be asked")
    return click.confirm(question)
