"""
Wakes a reader when something happened to a file. Only a hint, and it may be missing.

inotify is silent about a folder that was replaced, a link that leads elsewhere, NFS, and what
overflowed its queue: whoever waits here must also look from time to time.
"""

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

from watchdog.events import (
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

log = logging.getLogger(__name__)
_PATIENCE = 1.0  # seconds that its threads have to end
# Not those that our own opening and closing makes.
_EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent, FileDeletedEvent, FileModifiedEvent, FileMovedEvent,
]  # fmt: skip


class Watch(FileSystemEventHandler):
    """Sets *wake* in the running loop whenever one of *paths* may have changed."""

    def __init__(self, paths: Iterable[Path], wake: asyncio.Event) -> None:
        self._paths = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100 (no links)
        self._wake = wake
        self._loop = asyncio.get_running_loop()
        self._observer: BaseObserver | None = None
        self._watched: dict[Path, tuple[tuple[int, int], ObservedWatch]] = {}
        self._complained = False

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Wake the loop; called by watchdog's own thread."""
        del event
        if not self._wake.is_set() and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake.set)

    def refresh(self) -> None:
        """Watch the folders that the paths are in now, and where links lead."""
        try:
            self._refresh()
        except OSError as error:
            if not self._complained:
                log.warning("logs are looked at from time to time, not watched: %s", error)
            self._complained = True

    def close(self) -> None:
        """Watch no more; return soon, whatever watchdog's threads do."""
        if self._observer is not None:
            _in_the_background(self._observer.stop).join(_PATIENCE)

    def _refresh(self) -> None:
        if self._observer is None:
            observer = Observer()
            observer.start()
            self._observer = observer
        for folder in {place.parent for path in self._paths for place in (path, path.resolve())}:
            self._watch(folder)

    def _watch(self, folder: Path) -> None:
        try:
            seen = folder.stat()
        except OSError:
            return  # not there yet
        inode = (seen.st_dev, seen.st_ino)
        known = self._watched.get(folder)
        if self._observer is None or (known and known[0] == inode):
            return
        if known:
            _in_the_background(partial(self._observer.unschedule, known[1])).join(_PATIENCE)
        watch = self._observer.schedule(self, str(folder), event_filter=_EVENTS)
        self._watched[folder] = (inode, watch)


def _in_the_background(work: Callable[[], None]) -> threading.Thread:
    """Begin *work*, which joins threads of watchdog without a limit of time."""

    def _work() -> None:
        with suppress(Exception):  # it is told to let go: what it thinks of that is nobody's news
            work()

    thread = threading.Thread(target=_work, daemon=True)
    thread.start()
    return thread
