"""The state directory: made for whoever needs it, or refused in one line."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mtabounce.errors import ConfigError
from mtabounce.store.state import make_state_directory


@contextmanager
def as_nobody() -> Iterator[None]:
    """Be somebody whom permissions bind, if we are root."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_directory_that_cannot_be_entered_is_refused_in_one_line(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    state = closed / "state"

    with as_nobody(), pytest.raises(ConfigError) as refusal:
        make_state_directory(state)

    assert str(refusal.value) == f"[state] directory {state}: Permission denied"
