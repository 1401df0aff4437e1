"""What a check is, gets and gives."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from mtabounce.config import ListenAddress
from mtabounce.errors import ConfigError
from mtabounce.settings import Settings


class Level(StrEnum):
    """How good or bad a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found."""

    check: str
    level: Level
    text: str
    mend: str = ""  # what to do; "" where nothing is to be done, or *text* says it


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What the checks look at."""

    settings: Settings | None = None  # None: the configuration is wrong
    fault: ConfigError | None = None  # why
    config: Path | None = None  # the file; None: there is none
    url: str | None = None  # of the database; None: it is embedded, and does not run
    resolver: ListenAddress | None = None  # the DNS server; None: the system's

    def given(self) -> Settings:
        """Return the settings, which are there for every check that needs them."""
        if self.settings is None:
            raise self.fault or ConfigError("there are no settings")
        return self.settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check: what it is called, when its turn comes, and what it does."""

    title: str
    rank: int  # lower ones come first
    run: Callable[[Patient], Iterator[Finding]]
    needs_settings: bool = True
