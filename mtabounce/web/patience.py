"""Many short waits that hardly ever run out, as asyncio.timeout() ends them: one timer for all."""

import asyncio
from collections import deque
from types import TracebackType
from typing import Any


class _Wait:
    """One wait, as a context manager."""

    __slots__ = ("_patience", "ends_at", "is_over", "task")

    def __init__(self, patience: "Patience") -> None:
        self._patience = patience
        self.task: asyncio.Task[Any] | None = None  # None: it is not waited any more
        self.ends_at = 0.0  # by the loop's clock
        self.is_over = False

    def __enter__(self) -> None:
        self.task = asyncio.current_task()
        self._patience.watch(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        task, self.task = self.task, None
        is_ours = self.is_over and task is not None and task.uncancel() <= 0
        if is_ours and kind is asyncio.CancelledError:
            raise TimeoutError from error


class Patience:
    """Ends what is waited for, in ``with patience():``, after *seconds*, with TimeoutError."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waits: deque[_Wait] = deque()  # the first ends first: all take equally long
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self) -> _Wait:
        """Return a wait that begins when its block is entered."""
        return _Wait(self)

    def watch(self, wait: _Wait) -> None:
        """End *wait* in time."""
        loop = asyncio.get_running_loop()
        wait.ends_at = loop.time() + self._seconds
        self._waits.append(wait)
        if self._timer is None:
            self._timer = loop.call_at(wait.ends_at, self._end, loop)

    def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        """End what has waited long enough, forget what is done, and look again at the next."""
        now, waits = loop.time(), self._waits
        while waits and (waits[0].task is None or waits[0].ends_at <= now):
            wait = waits.popleft()
            if wait.task is not None:
                wait.is_over = True
                wait.task.cancel()
        self._timer = loop.call_at(waits[0].ends_at, self._end, loop) if waits else None
