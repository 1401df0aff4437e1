"""How a log is set up."""

import socket
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, field_validator

from mtabounce.config import Section
from mtabounce.config.messages import did_you_mean
from mtabounce.config.values import Words, quoted
from mtabounce.registry import names

_JOURNAL = "journal"
_FORMATS = ["auto", *names("mtabounce.logs")]
_ONE_OF_THEM = f"{', '.join(map(quoted, _FORMATS[:-1]))} or {quoted(_FORMATS[-1])}"


def _known_format(text: str) -> str:
    if text not in _FORMATS:
        hint = did_you_mean(text, _FORMATS, quote='"')
        raise ValueError(f"expected {_ONE_OF_THEM}, found {quoted(text)}{hint}")
    return text


def known_zone(name: str) -> str:
    """Return *name*. Raises ValueError where no time zone is called so."""
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:  # KeyError: it is not there
        raise ValueError(f'there is no time zone "{name}"') from error
    return name


class LogSettings(Section):
    """One log of a mail server, to be followed."""

    path: Path = Field(
        description='The file, beside which rotated ones are found; "journal" for journald.'
    )
    format: Annotated[str, AfterValidator(_known_format), Words(_ONE_OF_THEM)] = Field(
        default="auto", description='Which program writes it; "auto": what its lines look like.'
    )
    host: str = Field(
        default="", description="Host of lines that name none, such as Exim's; empty: this host."
    )
    timezone: str | None = Field(
        default=None, description='Time zone of times without one, such as "Europe/Berlin".'
    )
    start: Literal["beginning", "end"] = Field(
        default="beginning", description="Where to begin in a file that is new: beginning or end."
    )

    @field_validator("path")
    @classmethod
    def _journal(cls, value: Path) -> Path:
        """Take back what a configuration file made of the word: a path beside itself."""
        return Path(_JOURNAL) if value.name == _JOURNAL and not value.is_file() else value

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        return None if value is None else known_zone(value)

    @property
    def own_host(self) -> str:
        """The host of lines that name none."""
        return self.host or socket.gethostname()

    @property
    def is_journal(self) -> bool:
        """Whether it is journald's, and no file."""
        return str(self.path) == _JOURNAL

    @property
    def name(self) -> str:
        """What the log is known by in the database, which many hosts may share."""
        return f"{self.own_host}:{self.path}"
