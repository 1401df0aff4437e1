"""What operators say about addresses, on its way into the database."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mtabounce.cli._asking import operator
from mtabounce.pipeline.operators import Word, in_batches, say
from mtabounce.policy import PolicySettings
from mtabounce.settings import Settings, load_settings
from mtabounce.store.connection import connect
from mtabounce.store.embedded import database
from mtabounce.store.unavailable import unavailable
from mtabounce.store.version import check


@contextmanager
def opened(config: Path | None) -> Iterator[tuple[Settings, str]]:
    """
    Give the settings of *config*, and the URL of their database.

    Raises ConfigError where a setting or the schema is wrong, StoreUnavailable where the
    database is away.
    """
    settings = load_settings(config)
    with database(settings.database, settings.state) as url, unavailable():
        check(url)
        yield settings, url


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
    async with await connect(url, application_name="mtabounce suppressions") as conn:
        if at_once:
            async with conn.transaction():
                for batch in in_batches(words):
                    await say(conn, policy, batch, who)
            return
        for batch in in_batches(words):
            async with conn.transaction():
                await say(conn, policy, batch, who)
