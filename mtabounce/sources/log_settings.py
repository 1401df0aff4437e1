"""How a log is set up."""

import socket
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from mtabounce.config import Section

_JOURNAL = "journal"


class LogSettings(Section):
    """One log of a mail server, to be followed."""

    path: Path = Field(
        description='The file, beside which rotated ones are found; "journal" for journald.'
    )
    format: Literal["auto", "postfix", "exim"] = Field(
        default="auto", description="Whose log it is: auto, postfix or exim."
    )
    host: str = Field(
        default="", description="Host of lines that name none, as Exim's; empty: this host."
    )
    timezone: str | None = Field(
        default=None, description='Zone of times without one, such as "Europe/Berlin".'
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
        if value is not None:
            try:
                ZoneInfo(value)
            except (OSError, ValueError) as error:
                raise ValueError(f'there is no time zone "{value}"') from error
        return value

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
