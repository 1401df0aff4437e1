"""What a check is, gets and gives."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from psycopg import Connection

from mtabounce.config import ListenAddress
from mtabounce.errors import ConfigError, MtabounceError
from mtabounce.settings import Settings
from mtabounce.store.connection import connect_sync
from mtabounce.store.version import status

READERS = "usermod --append --groups adm mtabounce, then restart mtabounce"  # of logs
T = TypeVar("T")


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

    def ask(self, question: Callable[[Connection[Any]], T]) -> T | None:
        """
        Return what *question* finds in the database; None where there is none to ask.

        It is away, or of another version; the check of the database tells that.
        """
        try:
            if self.url is None or not status(self.url).is_current:
                return None
            with connect_sync(self.url, application_name="mtabounce doctor") as conn:
                return question(conn)
        except MtabounceError:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check: what it is called, when its turn comes, and what it does."""

    title: str
    rank: int  # lower ones come first
    run: Callable[[Patient], Iterator[Finding]]
    needs_settings: bool = True
