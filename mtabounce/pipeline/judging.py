"""
A process that parses and classifies: hostile input may cost it its life, and no more.

Each input has a deadline. One that ends the process, or lets the deadline pass, is given to a
fresh process once more, alone; then it has failed. (A pool of pebble's was tried first: it
gives up for good when a process dies while it takes a task.)
"""

import asyncio
import logging
import pickle
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

from prometheus_client import Counter

from mtabounce.errors import TryAgainLater
from mtabounce.model import Judged
from mtabounce.pipeline.judge_process import LENGTH, NO_MEMORY, JudgeSettings, frame
from mtabounce.pipeline.settings import WorkerSettings

CASUALTIES = Counter(
    "mtabounce_judging_failures_total", "Inputs that could not be parsed, by cause.", ["cause"]
)
START = 60.0  # seconds that a process gets to load its rules
log = logging.getLogger(__name__)

Content = tuple[str, bytes]  # the source of an input, and the input


class _CasualtyError(Exception):
    """The process died, or had to be ended; the text says why in one line."""


class Judging:
    """
    One process that judges, started when it is first needed, and anew after each casualty.

    *deadline* is in seconds for one input; *memory* is in bytes, for the process to grow by.
    Not for use by two tasks at a time.
    """

    def __init__(self, settings: JudgeSettings, *, deadline: float, memory: int) -> None:
        self._settings = settings
        self._deadline = deadline
        self._memory = memory
        self._process: Process | None = None
        self._stale = False

    @classmethod
    def of(cls, settings: JudgeSettings, worker: WorkerSettings) -> Self:
        """Return one that judges by *settings*, within the limits of *worker*."""
        deadline = worker.deadline.total_seconds()
        return cls(settings, deadline=deadline, memory=worker.memory)

    async def start(self) -> None:
        """Start the process now, so that the first input need not wait for it."""
        await self._running()

    async def judge(self, contents: Sequence[Content]) -> list[Judged | str]:
        """Return a judgement for each of *contents*, or in one line why there is none."""
        if self._stale:
            await self.close()
        judged: list[Judged | str] = []
        while len(judged) < len(contents):
            try:
                await self._ask(contents[len(judged) :], judged)
            except _CasualtyError as casualty:
                log.warning("an input is judged once more, alone: %s", casualty)
                judged.append(await self._once_more(contents[len(judged)]))
        for one in judged:
            if isinstance(one, str):
                CASUALTIES.labels(one.partition(":")[0]).inc()
        return judged

    def reload(self, settings: JudgeSettings) -> None:
        """Judge with new *settings* from the next batch on."""
        self._settings = settings
        self._stale = True

    async def close(self) -> None:
        """End the process."""
        self._stale = False
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _once_more(self, content: Content) -> Judged | str:
        judged: list[Judged | str] = []
        try:
            await self._ask([content], judged)
        except _CasualtyError as casualty:
            return str(casualty)
        return judged[0]

    async def _ask(self, contents: Sequence[Content], judged: list[Judged | str]) -> None:
        """Append to *judged*, one by one. Raises _CasualtyError at the first that fails."""
        process = await self._running()
        feeding = asyncio.create_task(_feed(process, contents))
        try:
            for _ in contents:
                async with asyncio.timeout(self._deadline):
                    judged.append(await _answer(process))
        except TimeoutError:
            await self.close()
            raise _CasualtyError(f"too slow: not judged within {self._deadline:g} s") from None
        except (EOFError, OSError):
            await self.close()
            raise _CasualtyError(_end_of(process)) from None
        except asyncio.CancelledError:
            await self.close()  # an answer that nobody takes would be taken for the next one
            raise
        finally:
            feeding.cancel()

    async def _running(self) -> Process:
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "mtabounce.pipeline.judge_process", stdin=PIPE, stdout=PIPE
            )
            await self._greet(self._process)
        return self._process

    async def _greet(self, process: Process) -> None:
        """Wait until the rules are loaded. Raises TryAgainLater where they never are."""
        try:
            _stdin(process).write(frame((self._settings, self._memory)))
            async with asyncio.timeout(START):
                await _answer(process)
        except (EOFError, OSError, TimeoutError) as error:
            await self.close()
            raise TryAgainLater("the judging process does not start") from error


def _end_of(process: Process) -> str:
    """Return in one line why *process*, which has ended, did."""
    if process.returncode == NO_MEMORY:
        return "too much memory"
    return f"crash: the process ended with {process.returncode}"


async def _feed(process: Process, contents: Sequence[Content]) -> None:
    with suppress(OSError):  # whoever waits for the answers finds out why
        for content in contents:
            _stdin(process).write(frame(content))
            await _stdin(process).drain()


async def _answer(process: Process) -> Judged | str:
    if process.stdout is None:
        raise EOFError
    (length,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
    packed = await process.stdout.readexactly(length)
    judged: Judged | str = pickle.loads(packed)  # noqa: S301 (from our own process)
    return judged


def _stdin(process: Process) -> asyncio.StreamWriter:
    if process.stdin is None:
        raise OSError("the process has no standard input")
    return process.stdin
