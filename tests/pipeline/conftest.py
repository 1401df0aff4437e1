"""Connections as the daemon has them."""

from functools import partial

import pytest

from mtabounce.store.connection import connect


@pytest.fixture
def connecting(database_url):
    return partial(connect, database_url, application_name="mtabounce test")


@pytest.fixture
async def conn(connecting):
    async with await connecting() as conn:
        yield conn
