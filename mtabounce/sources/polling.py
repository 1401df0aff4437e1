"""All mailboxes of a daemon, each polled by its own clock; one that fails delays no other."""

import asyncio
from collections.abc import Callable, Sequence

from mtabounce.pipeline.judge_process import JudgeSettings
from mtabounce.pipeline.judging import Judging
from mtabounce.sources.mailboxes import MailboxSettings, Protocol
from mtabounce.sources.poller import Poller
from mtabounce.store.connection import Connect


class Polling:
    """
    Polls *mailboxes*. What they fetch is read by *judging*, in turn.

    *stored* is called after each commit.
    """

    def __init__(
        self,
        mailboxes: Sequence[tuple[Protocol, MailboxSettings]],
        connect: Connect,
        judging: Judging,
        stored: Callable[[], None],
    ) -> None:
        turn = asyncio.Lock()
        self._judging = judging
        self._pollers = [
            Poller(protocol, mailbox, connect, judging, turn, stored)
            for protocol, mailbox in mailboxes
        ]

    async def run(self) -> None:
        """Poll until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for poller in self._pollers:
                    tasks.create_task(poller.run())
        finally:
            await self._judging.close()

    def reload(self, settings: JudgeSettings) -> None:
        """Judge with new *settings* from now on."""
        self._judging.reload(settings)
