"""
Inputs on disk, for as long as PostgreSQL is away: a file each, durable before it has its name.

A file is written under a name that nobody reads, synced, then renamed; a crash leaves either all
of it or nothing. What is damaged later is set aside, not lost.
"""

import asyncio
import errno
import hashlib
import json
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from time import time, time_ns

from prometheus_client import Counter, Gauge

from mtabounce.errors import StoreUnavailable, TryAgainLater
from mtabounce.model import RawInput
from mtabounce.pipeline.inbox import Accept
from mtabounce.store.state import sync_folder

SPOOLED = Counter("mtabounce_spooled_total", "Inputs that were kept on disk at first.")
WAITING = Gauge("mtabounce_spool_inputs", "Inputs that wait on disk for the database.")
MAX_OCTETS = 2**30  # of the whole spool
_READY = ".input"
_DAMAGED = ".damaged"
_DRAFT = ".draft"
_OLD = 3600.0  # seconds after which nobody writes a draft any more
_BATCH = 100  # inputs that are handed on for one COMMIT
_BATCH_OCTETS = 8 * 2**20
log = logging.getLogger(__name__)


class Spool:
    """Keeps inputs in *folder*, and hands them on in their order. Start run() in a task."""

    def __init__(self, folder: Path, accept: Accept, pause: float = 1.0) -> None:
        self._folder = folder
        self._accept = accept
        self._pause = pause  # seconds between looks
        self._numbers = count()
        self._octets = 0
        self._unreadable: set[Path] = set()  # told of once
        self._failed = ""  # why nothing is written any more; "": all is well

    async def keep(self, raw: RawInput) -> None:
        """Return once *raw* is on disk. Raises TryAgainLater where it cannot be."""
        if self._failed:
            raise TryAgainLater(self._failed)
        try:
            await asyncio.to_thread(self._write, raw)
        except OSError as error:
            why = f"the spool cannot be written: {error.strerror}"
            if error.errno == errno.EIO:
                # What the system calls written after that may be lost all the same.
                self._failed = f"{why}; it is not used again before a restart"
                log.critical("spool: %s; look at the disk", self._failed)
            raise TryAgainLater(why) from error
        SPOOLED.inc()
        WAITING.inc()

    async def run(self) -> None:
        """Hand on what is there, oldest first, again and again, until cancelled."""
        while True:
            try:
                await self.drain()
            except OSError as error:
                log.warning("spool: it is looked at again: %s", error)
            except Exception:  # whatever it is, it ends no other part
                log.exception("spool: it is looked at again")
            await asyncio.sleep(self._pause)

    async def drain(self) -> None:
        """Hand on what is there; stop at the first that the database does not take."""
        paths = await asyncio.to_thread(self._waiting)
        WAITING.set(len(paths))
        self._octets = await asyncio.to_thread(_octets, paths)
        while paths:
            batch, paths = await asyncio.to_thread(self._batch, paths)
            if not await self._hand_on(batch):
                return

    async def _hand_on(self, batch: Sequence[tuple[Path, RawInput]]) -> bool:
        """Hand on *batch* in its order, for one COMMIT; return whether all was taken."""
        answers = await asyncio.gather(
            *(self._accept(raw) for _, raw in batch), return_exceptions=True
        )
        for (path, _), answer in zip(batch, answers, strict=True):
            if answer is None:
                path.unlink(missing_ok=True)
                WAITING.dec()
            elif not isinstance(answer, StoreUnavailable):
                log.error("spool: %s waits: it cannot be handed on: %r", path.name, answer)
        return not any(answers)

    def _batch(self, paths: list[Path]) -> tuple[list[tuple[Path, RawInput]], list[Path]]:
        """Return what the first of *paths* hold, and the other paths; set aside what is damaged."""
        batch: list[tuple[Path, RawInput]] = []
        octets = 0
        for number, path in enumerate(paths):
            if len(batch) == _BATCH or octets > _BATCH_OCTETS:
                return batch, paths[number:]
            if raw := self._taken(path):
                batch.append((path, raw))
                octets += len(raw.content)
        return batch, []

    def _taken(self, path: Path) -> RawInput | None:
        """Return what *path* holds; None where it is damaged, or cannot be read."""
        try:
            if raw := _read(path):
                return raw
            log.error("spool: %s is damaged, and set aside", path.name)
            path.rename(path.with_suffix(_DAMAGED))
        except OSError as error:
            if path not in self._unreadable:
                log.error("spool: %s waits: %s", path, error.strerror)  # noqa: TRY400 (says it all)
            self._unreadable.add(path)
        return None

    def _waiting(self) -> list[Path]:
        for draft in self._folder.glob(f"*{_DRAFT}"):
            with suppress(FileNotFoundError):  # it has just become an input
                if time() - draft.stat().st_mtime > _OLD:  # its process was killed meanwhile
                    draft.unlink()
        return sorted(self._folder.glob(f"*{_READY}"))

    def _write(self, raw: RawInput) -> None:
        packed = _packed(raw)
        if self._octets + len(packed) > MAX_OCTETS:
            raise OSError(errno.ENOSPC, "it is full")
        if not self._folder.is_dir():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            sync_folder(self._folder.parent)
        name = f"{time_ns():020d}-{os.getpid()}-{next(self._numbers):06d}"
        draft = self._folder / f"{name}{_DRAFT}"
        try:
            with open(draft, "xb", opener=_for_us_alone) as file:
                file.write(packed)
                file.flush()
                os.fsync(file.fileno())
            draft.rename(self._folder / f"{name}{_READY}")
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        sync_folder(self._folder)
        self._octets += len(packed)


def _for_us_alone(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _octets(paths: list[Path]) -> int:
    return sum(path.stat().st_size for path in paths if path.is_file())


def _packed(raw: RawInput) -> bytes:
    head = {
        "source": raw.source,
        "received_at": raw.received_at.isoformat(),
        "peer": raw.peer,
        "trusted": raw.trusted,
    }
    told = json.dumps(head).encode() + b"\n" + raw.content
    return _digest(told) + b"\n" + told


def _digest(told: bytes) -> bytes:
    return hashlib.sha256(told).hexdigest().encode()


def _read(path: Path) -> RawInput | None:
    """Return what is in the file; None where it is not as it was written."""
    digest, _, told = path.read_bytes().partition(b"\n")
    if digest != _digest(told):
        return None
    head, _, content = told.partition(b"\n")
    try:
        said = json.loads(head)
        return RawInput(
            source=said["source"],
            content=content,
            received_at=datetime.fromisoformat(said["received_at"]),
            peer=said["peer"],
            trusted=said["trusted"],
        )
    except (ValueError, KeyError, TypeError):
        return None


def damaged(folder: Path) -> int:
    """Return how many inputs in *folder* were set aside; 0 where there is none, or no folder."""
    return sum(1 for _ in folder.glob(f"*{_DAMAGED}"))
