"""What the tests with real servers share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.processes import shared_folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.live)


@pytest.fixture
def folder() -> Iterator[Path]:
    with shared_folder() as made:
        yield made
