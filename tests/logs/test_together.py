"""The tailer and an import of the same files, in any order and at once: each line counts once."""

import gzip
import lzma
import os
import subprocess
import sys
import time

import psycopg
import pytest
import zstandard

from mtabounce.cli.import_ import logs

from .lines import bounced
from .waiting import until

IMPORTS = int(os.environ.get("MTABOUNCE_IMPORTS", "3"))  # while the log is followed and rotated
PACKERS = {
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


class Log:
    """A log that is written, rotated and compressed as logrotate does."""

    def __init__(self, path):
        self.path = path
        self.count = 0

    def write(self, count):
        with self.path.open("a") as file:
            for number in range(self.count, self.count + count):
                file.write(bounced(number))
        self.count += count

    def rotate(self, suffix=""):
        old = sorted(
            self.path.parent.glob("mail.log.*"), key=lambda one: -int(one.name.split(".")[2])
        )
        for one in old:
            number, *rest = one.name.split(".")[2:]
            one.rename(self.path.with_name(".".join(["mail.log", str(int(number) + 1), *rest])))
        newest = self.path.with_name("mail.log.1")
        self.path.rename(newest)
        self.path.touch()
        if suffix:
            packed = newest.with_name(newest.name + suffix)
            whole = PACKERS[suffix](newest.read_bytes())
            packed.write_bytes(whole[: len(whole) // 2])
            time.sleep(0.05)  # somebody may look now
            packed.write_bytes(whole)
            newest.unlink()


@pytest.fixture
def path(tmp_path):
    folder = tmp_path / "log"
    folder.mkdir()
    return folder / "mail.log"


@pytest.fixture
def log(path):
    return Log(path)


@pytest.fixture
def counted(database_url):
    """How many rows there are, how many of these differ, and how many deliveries were counted."""

    def _counted():
        with psycopg.connect(database_url) as conn:
            return conn.execute(
                "SELECT count(*), count(DISTINCT final_recipient),"
                " (SELECT coalesce(sum(bounced), 0)::int FROM mtabounce.delivery_stats)"
                " FROM mtabounce.observations"
            ).fetchone()

    return _counted


IMPORT = ("import", "logs", "--host", "mail", "--timezone", "UTC")


def test_log_that_was_imported_is_followed_from_there(run, counted, log):
    log.write(20)
    log.rotate()
    log.write(20)
    run(*IMPORT, log.path.parent)
    log.write(5)
    run("tail", "--until-idle")
    log.write(5)
    run("tail", "--until-idle")
    run(*IMPORT, log.path.parent)

    assert counted() == (50, 50, 50)


def test_files_that_were_imported_while_nobody_followed_are_not_read_again(run, counted, log):
    log.write(10)
    run("tail", "--until-idle")
    for suffix in ("", ".gz"):
        log.write(10)
        log.rotate(suffix)
    log.write(10)
    run(*IMPORT, log.path.with_name("mail.log.1.gz"), log.path.with_name("mail.log.2"))
    run("tail", "--until-idle")

    assert counted() == (40, 40, 40)


def test_file_that_is_followed_since_it_was_empty_is_not_imported(run, counted, log):
    log.path.touch()
    run("tail", "--until-idle")
    log.write(5)

    said = run(*IMPORT, log.path)
    run("tail", "--until-idle")

    assert "it is being followed" in said
    assert counted() == (5, 5, 5)


def test_import_that_commits_at_the_moment_at_which_its_file_is_taken_over(
    config, database_url, counted, log
):
    log.write(10)
    renamed = log.path.with_name("mail.log.1")
    renamed.hardlink_to(log.path)
    config.write_text(config.read_text().replace("[[log]]", 'lock_timeout = "2m"\n[[log]]'))
    command = [sys.executable, "-m", "mtabounce", "--config", str(config)]
    with psycopg.connect(database_url) as blocking:
        blocking.execute("LOCK TABLE mtabounce.delivery_stats")
        with (
            subprocess.Popen([*command, *IMPORT, str(renamed)], stdout=subprocess.DEVNULL) as one,
            psycopg.connect(database_url, autocommit=True) as looking,
        ):
            until(lambda: waits_for_lock(looking, "INSERT INTO mtabounce.delivery_stats"))
            with subprocess.Popen([*command, "tail", "--until-idle"]) as other:
                until(lambda: waits_for_lock(looking, "DELETE FROM mtabounce.log_files"))
                blocking.rollback()

    assert (one.returncode, other.returncode) == (0, 0)
    assert counted() == (10, 10, 10)


def waits_for_lock(conn, statement):
    return conn.execute(
        "SELECT count(*) > 0 FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND strpos(query, %s) > 0",
        [statement],
    ).fetchone()[0]


def test_files_that_are_renamed_while_others_are_imported_are_all_read(
    run, counted, log, monkeypatch
):
    for _ in range(3):
        log.write(10)
        log.rotate()
    shown, told = [], logs._Shown.tell

    def tell(self, now):
        shown.append(now)
        if len(shown) == 1:
            log.rotate()
        told(self, now)

    monkeypatch.setattr(logs._Shown, "tell", tell)
    run(*IMPORT, *sorted(log.path.parent.glob("mail.log.*")))

    assert counted() == (30, 30, 30)


def test_line_that_is_being_written_is_not_imported_by_half(run, counted, log):
    log.write(3)
    with log.path.open("a") as file:
        file.write(bounced(3)[:100])
    run(*IMPORT, log.path)
    with log.path.open("a") as file:
        file.write(bounced(3)[100:])
    run(*IMPORT, log.path)

    assert counted() == (4, 4, 4)


def test_imports_while_the_log_is_followed_and_rotated(config, run, counted, log):
    log.write(10)
    command = [sys.executable, "-m", "mtabounce", "--config", str(config), "tail"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        try:
            for number in range(IMPORTS):
                log.write(200)
                log.rotate(["", ".gz", ".xz", ".zst"][number % 4])
                log.write(50)
                importing = subprocess.Popen(
                    [*command[:-1], *IMPORT, str(log.path.parent)],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                )
                while importing.poll() is None:
                    log.write(1)
                    time.sleep(0.02)
                printed, _ = importing.communicate()
                assert importing.returncode == 0, printed
        finally:
            process.terminate()
            process.communicate(timeout=60)
    run("tail", "--until-idle")
    run(*IMPORT, log.path.parent)

    assert counted() == (log.count, log.count, log.count)
