"""The state directory: made for whoever needs it, or refused in one line."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mtabounce.errors import ConfigError, DiskTrouble
from mtabounce.store.embedded import Embedded
from mtabounce.store.state import make_state_directory
from tests.logs.processes import AS_ROOT, MOUNTS


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


@AS_ROOT
@MOUNTS
@pytest.mark.parametrize(
    ("options", "why"),
    [("ro", "Read-only file system"), ("nr_inodes=1", "No space left on device")],
)
def test_disk_that_takes_nothing_now_is_tried_again_later(
    tmp_path: Path, options: str, why: str
) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", tmp_path], check=True)
    try:
        with pytest.raises(DiskTrouble) as trouble:
            Embedded(tmp_path).start()
        with pytest.raises(DiskTrouble):
            make_state_directory(tmp_path / "state")
    finally:
        subprocess.run(["umount", "--lazy", tmp_path], check=True)

    assert str(trouble.value) == f"[state] directory {tmp_path}: {why}"
    assert trouble.value.exit_code == os.EX_TEMPFAIL  # systemd starts it again, unlike EX_CONFIG
