"""Work on a whole table, between what others do there: nobody waits long because of it."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

from psycopg import AsyncConnection
from psycopg.errors import LockNotAvailable

from mtabounce.store.connection import limit_waiting

T = TypeVar("T")
PATIENCE = timedelta(milliseconds=200)  # that we wait for the lock, and others behind us
TRIES = 20  # for the lock


async def between_others(conn: AsyncConnection[Any], work: Callable[[], Awaitable[T]]) -> T | None:
    """
    Return what *work*, which takes the lock that it needs, returns; in a transaction of *conn*.

    None where others used the table each time that it was tried; then nothing was done.
    """
    for _ in range(TRIES):
        try:
            async with conn.transaction():
                await limit_waiting(conn, PATIENCE)
                return await work()
        except LockNotAvailable:
            await asyncio.sleep(random.uniform(0.05, 0.5))  # noqa: S311 (no secret)
    return None
