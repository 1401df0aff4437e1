"""What operators say about addresses, on its way into the database."""

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from mtabounce.cli._asking import operator
from mtabounce.cli._database import opened
from mtabounce.pipeline.words import Word, in_batches, say
from mtabounce.policy import PolicySettings
from mtabounce.store.connection import connect


def say_all(config: Path | None, words: Sequence[Word], *, at_once: bool = False) -> None:
    """
    Write *words* and what follows from them, in parts or, with *at_once*, all or nothing.

    Raises ConfigError and StoreUnavailable as opened() does; parts before that are done.
    """
    if words:
        with opened(config) as (settings, url):
            asyncio.run(_say_all(url, settings.policy, words, at_once=at_once))


async def _say_all(
    url: str, policy: PolicySettings, words: Sequence[Word], *, at_once: bool
) -> None:
    who = operator()
    async with (
        await connect(url, application_name="mtabounce suppressions") as conn,
        conn.transaction() if at_once else nullcontext(),
    ):
        for batch in in_batches(words):
            async with conn.transaction():
                await say(conn, policy, batch, who)
