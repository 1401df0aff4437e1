"""SIGHUP: new rules, header names, keys, webhooks and certificates, while mail comes in."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from psycopg.errors import InsufficientPrivilege

from mtabounce import assembly
from mtabounce.classify import Classifier
from mtabounce.errors import ConfigError, StoreUnavailable
from mtabounce.pipeline.judge_process import JudgeSettings
from mtabounce.pipeline.return_paths import signed_with
from mtabounce.settings import Settings, load_settings
from mtabounce.sources.receiver import IsOurs, Receiver, own_addresses
from mtabounce.store.connection import connect_sync
from mtabounce.store.return_paths import put_keys
from mtabounce.store.unavailable import unavailable
from mtabounce.verp import unwrapped

_TAKEN = frozenset({"return_path", "webhooks", "headers", "rules"})  # sections, wholly
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fresh:
    """The configuration and the rules, read anew."""

    settings: Settings
    judging: JudgeSettings
    classifier: Classifier

    @classmethod
    def read(cls, config: Path | None) -> Self:
        """Read them. Raises ConfigError for what is wrong in either."""
        settings = load_settings(config)
        judging = assembly.judging(settings)
        return cls(settings, judging, judging.judge().classifier)


class Reloading:
    """
    Reads the configuration again whenever begin() was called; a mistake changes nothing.

    Files, rules and PostgreSQL may take their time, so all that is done in threads. *take* is
    called with what was read.
    """

    def __init__(
        self,
        settings: Settings,
        config: Path | None,
        url: str,
        receiver: Receiver,
        take: Callable[[Fresh], None],
    ) -> None:
        self._begun_with = self._settings = settings
        self._config = config
        self._url = url
        self._receiver = receiver
        self._take = take
        self._told = asyncio.Event()

    def begin(self) -> None:
        """Have it read again, as soon as what is under way is done."""
        self._told.set()

    async def run(self) -> None:
        """Wait for begin(), again and again, until cancelled."""
        while True:
            await self._told.wait()
            self._told.clear()
            try:
                await self._reload()
            except Exception as error:  # the service goes on with what it has
                self._receiver.reload(is_ours(self._settings))
                is_bug = not isinstance(error, ConfigError | StoreUnavailable)
                log.error("not reloaded: %s", error, exc_info=is_bug)  # noqa: TRY400 (a bug only)

    async def _reload(self) -> None:
        fresh = await asyncio.to_thread(Fresh.read, self._config)
        # Before SQL signs with a new key, what comes back to it must be let in.
        self._receiver.reload(is_ours(fresh.settings))
        await asyncio.to_thread(hand_over_keys, fresh.settings, self._url)
        self._settings = fresh.settings
        self._take(fresh)
        log.info("reloaded")
        if left := left_for_restart(self._begun_with, fresh.settings):
            log.warning("what changed in %s takes a restart", ", ".join(left))


def left_for_restart(begun_with: Settings, fresh: Settings) -> list[str]:
    """Return the sections, such as "[http]", with changes that no reload takes."""
    taken = fresh.receiver.model_copy(update={"return_paths": begun_with.receiver.return_paths})
    fresh = fresh.model_copy(update={"receiver": taken})
    return [
        f"[{name}]"
        for name in Settings.model_fields
        if name not in _TAKEN and getattr(begun_with, name) != getattr(fresh, name)
    ]


def hand_over_keys(settings: Settings, url: str) -> None:
    """
    Let SQL sign return paths, too, where keys are set; where none is, it keeps what it has.

    Raises StoreUnavailable where the database is away.
    """
    ring = settings.return_path.ring()
    if not ring.keys:
        return
    try:
        with (
            connect_sync(
                url, application_name="mtabounce keys", settings=settings.database
            ) as conn,
            unavailable(),
        ):
            put_keys(conn, ring)
    except InsufficientPrivilege:
        log.warning(
            "only the owner of the tables can hand the keys of return paths to SQL: as such, run"
            " `mtabounce return-path keys sync`"
        )


def is_ours(settings: Settings) -> IsOurs:
    """Return the test whether the receiver takes mail to an address, be it wrapped by others."""
    is_signed = signed_with(settings.return_path.ring())
    if settings.return_path.require_signed:
        return is_signed
    is_own = own_addresses(settings.receiver.return_paths)
    return lambda path: is_own(path) or is_own(unwrapped(path)) or is_signed(path)
