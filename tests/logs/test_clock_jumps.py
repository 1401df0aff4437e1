"""The clock of the host jumps while a log is followed, as where a machine wakes, or NTP sets it."""

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from .processes import Log, ask, command, stop, stored
from .waiting import until

CACHE = Path(__file__).parent.parent.parent / ".cache"  # see scripts/test-setup
FAKE = [*CACHE.glob("faketime/usr/lib/*/faketime/libfaketimeMT.so.1")]


@pytest.mark.skipif(not FAKE, reason="libfaketime is not there")
def test_clock_that_jumps_changes_no_row(tmp_path, path, database_url):
    log = Log(path, day=datetime.now(UTC) - timedelta(days=30))  # no jump moves that to a year
    clock = tmp_path / "clock"
    clock.write_text("+0")
    env = os.environ | {
        "LD_PRELOAD": str(FAKE[0]),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # Linux sets that one for nobody
    }
    log.write(10)
    words = command(tmp_path, database_url, log)
    with subprocess.Popen(words, env=env, stderr=subprocess.PIPE) as process:
        try:
            for jump in ("+0", "+1d", "-1d", "+9d", "+0"):
                clock.write_text(jump)
                log.write(10)
                until(lambda: stored(database_url)[0] == log.count)
                log.rotate(9)
                log.write(10)
                until(lambda: stored(database_url)[0] == log.count)
            _, said = stop(process)
        finally:
            process.kill()

    assert process.returncode == 0, said
    assert stored(database_url) == (110, 110, 110)
    first, last = ask(
        database_url, "SELECT min(occurred_at), max(occurred_at) FROM mtabounce.observations"
    )
    assert {first.astimezone(UTC).date(), last.astimezone(UTC).date()} == {log.day.date()}
