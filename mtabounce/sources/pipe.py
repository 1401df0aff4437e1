"""The socket that ``mtabounce pipe`` hands mails to."""

import logging
from dataclasses import replace
from pathlib import Path

from mtabounce.config import ListenAddress
from mtabounce.errors import ConfigError
from mtabounce.model import RawInput
from mtabounce.pipeline.inbox import Accept
from mtabounce.sources.handover import NAME, NOBODY
from mtabounce.sources.pipe_settings import PipeSettings
from mtabounce.sources.receiver import Receiver
from mtabounce.sources.receiver_settings import ReceiverSettings
from mtabounce.store.state import make_state_directory

log = logging.getLogger(__name__)
_CONNECTIONS = 2_000  # bounces at a time


class Pipe:
    """Listens for ``mtabounce pipe``."""

    def __init__(
        self, settings: PipeSettings, directory: Path, accept: Accept, max_size: int
    ) -> None:
        self._is_needed = settings.socket is not None
        self.path = settings.socket or directory / NAME

        async def accept_as_pipe(raw: RawInput) -> None:
            known = tuple(path for path in raw.forward_paths if path != NOBODY)
            sender = None if raw.reverse_path == NOBODY else raw.reverse_path
            await accept(replace(raw, source="pipe", reverse_path=sender, forward_paths=known))

        self._receiver = Receiver(
            ReceiverSettings(
                listen=[],
                lmtp_listen=[ListenAddress(path=self.path)],
                max_connections=_CONNECTIONS,
                max_size=max_size,
            ).model_copy(update={"socket_mode": settings.socket_mode}),
            accept_as_pipe,
            lambda _: True,
            is_private=True,
        )

    async def start(self) -> None:
        """
        Listen.

        Raises ConfigError where the socket that is set cannot be had; without the one in the
        state directory, ``mtabounce pipe`` writes to the database itself.
        """
        try:
            if not self._is_needed:
                make_state_directory(self.path.parent)
            await self._receiver.start()
        except ConfigError as error:
            if self._is_needed:
                raise
            log.warning("mtabounce pipe will be slow: %s", error)

    async def close(self, grace: float) -> None:
        """Stop listening, and let mails under way end, for *grace* seconds."""
        await self._receiver.close(grace)
