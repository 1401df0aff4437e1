"""
What the tailer needs is away: the database, its disk, inotify, or the time to end in peace.

MTABOUNCE_OUTAGE says how many seconds the database is away.
"""

import gzip
import os
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from mtabounce.store.embedded import Embedded
from mtabounce.store.migrate import migrate

from .processes import ask, command, stop, stored, tailing
from .waiting import until

OUTAGE = float(os.environ.get("MTABOUNCE_OUTAGE", "3"))  # seconds
MEMORY = 200 * 1024  # KB that the process may use
MANY = 60_000  # failures, of which one transaction may hold few
QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")


def memory(process):
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])  # KB, the most there was


@pytest.fixture
def own_database(short_path):
    """A PostgreSQL of its own, which may be stopped and started again."""
    folder = Path(tempfile.mkdtemp(dir=short_path))
    folder.chmod(0o711)
    with Embedded(folder, settings={"fsync": "off"}) as server:
        migrate(server.url)
        yield server


@pytest.mark.timeout(300 + 7 * OUTAGE)
def test_database_that_is_away_while_the_log_grows_and_is_rotated_away(own_database, log, tmp_path):
    log.write(10)
    with tailing(tmp_path, own_database.url, log) as process:
        until(lambda: stored(own_database.url)[0] == 10)
        own_database.stop()
        over = time.monotonic() + OUTAGE
        while time.monotonic() < over or log.at(2).exists() is False:
            log.write(200)
            log.rotate(keep=2)  # what was written before is deleted soon
            time.sleep(0.25)
        own_database.start()
        log.write(10)
        until(lambda: stored(own_database.url)[0] >= log.count, seconds=90 + 6 * OUTAGE)
        most = memory(process)
        _, said = stop(process)

    assert stored(own_database.url) == (log.count, log.count, log.count)
    assert most < MEMORY
    assert "lost" not in said
    assert said.count("no connection to PostgreSQL") < 5


def test_disk_of_the_database_that_is_full_for_a_time(log, tmp_path, database_url):
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " RAISE EXCEPTION 'could not extend file: No space left on device'"
            " USING ERRCODE = '53100'; END $$"
        )
        conn.execute(
            "CREATE TRIGGER full_disk BEFORE INSERT ON mtabounce.observations"
            " EXECUTE FUNCTION full_disk()"
        )
    log.write(100)
    with tailing(tmp_path, database_url, log) as process:
        until(lambda: ask(database_url, "SELECT count(*) FROM mtabounce.log_files")[0])
        time.sleep(2)  # and it tries, and is told so
        log.rotate(keep=5)
        log.write(100)
        assert stored(database_url) == (0, 0, 0)
        assert ask(database_url, "SELECT max(position) FROM mtabounce.log_files") == (0,)
        with psycopg.connect(database_url) as conn:
            conn.execute("DROP TRIGGER full_disk ON mtabounce.observations")
        until(lambda: stored(database_url)[0] >= log.count)
        _, said = stop(process)

    assert stored(database_url) == (200, 200, 200)
    assert said.count("No space left on device") == 1


def test_hints_that_are_lost_lose_no_line(log, tmp_path, database_url):
    count = int(QUEUE.read_text()) if QUEUE.exists() else 16_384
    if count > 100_000:
        pytest.fail(f"{QUEUE} is too large to be filled: {count}")
    log.write(10)
    with tailing(tmp_path, database_url, log) as process:
        until(lambda: stored(database_url)[0] == 10)
        process.send_signal(signal.SIGSTOP)
        for number in range(count // 3 + 500):  # each is created, written to and deleted
            other = log.path.with_name(f"other{number % 2}")
            other.write_bytes(b"x")
            other.unlink()
        log.write(10)
        log.rotate(keep=5)
        log.write(10)
        process.send_signal(signal.SIGCONT)
        until(lambda: stored(database_url)[0] >= 30)
        log.write(10)
        until(lambda: stored(database_url)[0] >= 40)
        _, said = stop(process)

    assert "overflowed" in said
    assert stored(database_url) == (40, 40, 40)


def test_many_failures_do_not_hold_up_the_end(log, tmp_path, database_url):
    log.write(MANY)
    with tailing(tmp_path, database_url, log) as process:
        until(lambda: stored(database_url)[0] > 0)
        took, said = stop(process)
        first = stored(database_url)

    assert process.returncode == 0, said
    assert first[0] < MANY  # it did not read on to the end first
    assert first[0] == first[1] == first[2]
    assert took < 25  # a batch takes a second; a busy machine has others to do


def test_database_that_hangs_does_not_hold_up_the_end(own_database, log, tmp_path):
    log.write(10)
    with tailing(tmp_path, own_database.url, log) as process:
        until(lambda: stored(own_database.url)[0] == 10)
        postmaster = ask(own_database.url, "SELECT pg_read_file('postmaster.pid')")[0].split()[0]
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        hanging = [int(postmaster), *map(int, children)]
        for pid in hanging:
            os.kill(pid, signal.SIGSTOP)
        try:
            log.write(10)
            time.sleep(0.5)
            took, said = stop(process)
        finally:
            for pid in hanging:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    assert process.returncode == 0, said
    assert took < 40  # the grace of 10 seconds, and what a busy machine adds
    subprocess.run([*command(tmp_path, own_database.url, log), "--until-idle"], check=True)
    assert stored(own_database.url) == (20, 20, 20)


def test_import_that_is_interrupted_goes_on_within_a_compressed_file(log, tmp_path, database_url):
    log.write(12_000)  # so many that it does not end before it is interrupted
    packed = log.path.with_name("old.gz")
    packed.write_bytes(gzip.compress(log.path.read_bytes()))
    importing = [*command(tmp_path, database_url, log)[:-1], "import", "logs", "--host", "mail"]
    importing += ["--timezone", "UTC", str(packed)]
    with subprocess.Popen(importing, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        until(lambda: stored(database_url)[0] > 0)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    first = stored(database_url)
    done = subprocess.run(importing, capture_output=True, check=True)
    again = subprocess.run(importing, capture_output=True, check=True)

    assert process.returncode == 130, said
    assert said.decode().rstrip().endswith("mtabounce: interrupted")
    assert first[0] < log.count
    assert stored(database_url) == (log.count, log.count, log.count)
    assert b" 0 lines read" not in done.stdout
    assert b"0 lines read" in again.stdout
