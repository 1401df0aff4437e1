"""One timer for many waits: each ends in time, and none that is done or was never late."""

import asyncio

import pytest

from mtabounce.web.patience import Patience


async def waits(patience, seconds):
    with patience():
        await asyncio.sleep(seconds)
    return "done"


async def test_each_wait_ends_in_time_whatever_the_others_do():
    patience = Patience(0.2)
    late = [asyncio.create_task(waits(patience, 30)) for _ in range(3)]
    quick = [asyncio.create_task(waits(patience, 0)) for _ in range(3)]
    await asyncio.sleep(0.1)
    later = asyncio.create_task(waits(patience, 30))
    answers = await asyncio.gather(*late, *quick, return_exceptions=True)

    assert [type(one) for one in answers[:3]] == [TimeoutError] * 3
    assert answers[3:] == ["done"] * 3
    assert not later.done()
    with pytest.raises(TimeoutError):
        await later
    assert await waits(patience, 0) == "done"


async def test_who_is_cancelled_from_outside_is_cancelled():
    patience = Patience(30)
    waiting = asyncio.create_task(waits(patience, 30))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_error_of_its_own_is_not_hidden():
    patience = Patience(0.01)
    with pytest.raises(ValueError, match="own"), patience():
        raise ValueError("own")
    await asyncio.sleep(0.05)  # the timer finds nothing to end


async def test_what_is_done_within_a_wait_ends_with_it_and_goes_on_after_it():
    patience = Patience(0.01)
    with pytest.raises(TimeoutError), patience():
        await asyncio.sleep(30)
    assert asyncio.current_task().cancelling() == 0
    await asyncio.sleep(0)
