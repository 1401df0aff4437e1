"""Waiting for what must come, with patience for a machine that is busy."""

import asyncio
import time

PATIENCE = 90.0  # seconds


def until(condition, seconds=PATIENCE):
    """Return once *condition* holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def async_until(condition):
    """Do the same beside what runs in the loop; *condition* may ask a database."""
    async with asyncio.timeout(PATIENCE):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.02)
