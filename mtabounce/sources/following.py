"""
Keeps the readers of logs at work.

A reader copes with all that happens to files and to the database. Where it ends nevertheless, that
is a mistake of this program: it is said aloud, shown, and the reader begins anew, later each time.
"""

import asyncio
import logging
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import Counter, Gauge

from mtabounce.store import logs as store
from mtabounce.store.connection import Connect

CRASHES = Counter(
    "mtabounce_log_crashes_total", "Times that reading a log ended by a mistake of ours.", ["log"]
)
STANDING = Gauge(
    "mtabounce_log_standing_still", "1: a log grows, and nothing of it is read.", ["log"]
)
LOOK = 5.0  # seconds between two looks whether readers get on
FIRST, LONGEST = 1.0, 300.0  # seconds before it begins anew
STEADY = 60.0  # seconds that it must have been at work to be well again
_TOLD = 10.0  # seconds that the database has to take note

log = logging.getLogger(__name__)


class Reader(Protocol):
    """Reads one log: a Tailer or a JournalTailer."""

    @property
    def name(self) -> str:
        """What the log is known by in the database."""

    def stop(self) -> None:
        """Read no further; run() returns when what was read is committed."""

    def standing(self) -> str:
        """Return why nothing is read though there is something to be read; empty: all is well."""

    async def run(self, *, until_idle: bool = False) -> None:
        """Read until stop(); with *until_idle*, until nothing more is in the log."""


@dataclass(frozen=True, slots=True)
class _Trouble:
    said: str
    begins_at: float  # on the monotonic clock: when it reads again


class Following:
    """
    Runs readers until stop(). *connect* leads to where their troubles are noted.

    *first* is how many seconds pass before one that ended begins anew, at first; *look* how many
    between two looks whether they get on.
    """

    def __init__(
        self,
        readers: Iterable[Reader],
        connect: Connect,
        *,
        first: float = FIRST,
        look: float = LOOK,
    ) -> None:
        self._readers = list(readers)
        self._connect = connect
        self._first = first
        self._look = look
        self._stop = asyncio.Event()
        self._troubles: dict[str, _Trouble] = {}
        self._standing: dict[str, str] = {}

    def stop(self) -> None:
        """Read no further; run() returns when what was read is committed."""
        self._stop.set()
        for reader in self._readers:
            reader.stop()

    async def run(self, *, until_idle: bool = False) -> None:
        """
        Follow all logs until stop(); with *until_idle*, until nothing more is in them.

        Raises what ended a reader only with *until_idle*.
        """
        if until_idle:
            await asyncio.gather(*(one.run(until_idle=True) for one in self._readers))
        else:
            watching = asyncio.create_task(self._watch_over())
            try:
                await asyncio.gather(*(self._keep(one) for one in self._readers))
            finally:
                watching.cancel()

    async def _watch_over(self) -> None:
        """Say aloud which logs stand still: who reads them may hang, or wait for the database."""
        while True:
            await asyncio.sleep(self._look)
            for reader in self._readers:
                self._judge(reader.name, reader.standing())

    def _judge(self, name: str, said: str) -> None:
        STANDING.labels(name).set(bool(said))
        if said and name not in self._standing:
            log.error("log %s: it stands still: %s", name, said)
        if said:
            self._standing[name] = said
        elif self._standing.pop(name, None):
            log.warning("log %s: it is read again", name)

    def troubles(self) -> dict[str, str]:
        """Return why readers ended that are not well again, or stand still, by their log's name."""
        since = time.monotonic() - STEADY
        ended = {name: one.said for name, one in self._troubles.items() if one.begins_at > since}
        return {**self._standing, **ended}

    async def _keep(self, reader: Reader) -> None:
        pause = self._first
        while not self._stop.is_set():
            begun = time.monotonic()
            try:
                await reader.run()
            except Exception as error:  # whatever it is: the next mails bounce all the same
                if time.monotonic() - begun > STEADY:
                    pause = self._first
                log.exception(
                    "log %s: reading it ended, a mistake of mtabounce: please report it;"
                    " it begins anew in %.0f s",
                    reader.name,
                    pause,
                )
                await self._tell(reader.name, error, pause)
                pause = min(2 * pause, LONGEST)
            else:
                return

    async def _tell(self, name: str, error: Exception, pause: float) -> None:
        """Show that the log *name* is not read for *pause* seconds, and wait for so long."""
        said = f"{type(error).__name__}: {error}".partition("\n")[0]
        CRASHES.labels(name).inc()
        self._troubles[name] = _Trouble(said, time.monotonic() + pause)
        with suppress(Exception):  # a database that is away is told of elsewhere
            async with asyncio.timeout(_TOLD), await self._connect() as conn:
                await store.put_trouble(conn, name, f"reading it ended: {said}")
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), pause)
