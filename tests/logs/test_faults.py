"""
What goes wrong around a tailer that runs as a process: no line is lost, none counts twice.

MTABOUNCE_LATE says for how many seconds a writer keeps the file that was renamed.
"""

import gzip
import os
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import psycopg

from mtabounce.store.embedded import Embedded
from mtabounce.store.migrate import migrate

from .lines import bounced
from .processes import AS_ROOT, MOUNTS, POWERLESS, Proxy, ask, command, stop, stored, tailing
from .waiting import until

LATE = float(os.environ.get("MTABOUNCE_LATE", "2"))
ARCHIVES = 100


def test_answer_to_commit_that_is_lost(log, tmp_path, database_url):
    proxy = Proxy(database_url)
    log.write(10)
    with tailing(tmp_path, proxy.url, log) as process:
        until(lambda: stored(database_url)[0] == 10)
        for _ in range(3):
            proxy.cuts_left = 1
            log.write(50)
            until(lambda: not proxy.cuts_left)
            until(lambda: stored(database_url)[0] >= log.count)
        log.write(1)  # what was read after the last cut, too
        until(lambda: stored(database_url)[0] >= log.count)
        _, said = stop(process)
    proxy.close()

    assert process.returncode == 0, said
    assert stored(database_url) == (161, 161, 161)


def test_transaction_that_cannot_be_serialized(log, tmp_path, database_url):
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "CREATE SEQUENCE public.refusals;"
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " IF nextval('public.refusals') <= 7 THEN RAISE EXCEPTION 'met another'"
            " USING ERRCODE = '40001'; END IF; RETURN NULL; END $$;"
            "CREATE TRIGGER refuse AFTER INSERT ON mtabounce.observations"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse()"
        )
    log.write(100)
    with tailing(tmp_path, database_url, log) as process:
        until(lambda: stored(database_url)[0] >= log.count)
        stop(process)

    assert ask(database_url, "SELECT last_value FROM public.refusals")[0] > 7
    assert stored(database_url) == (100, 100, 100)


def test_table_that_is_not_there_for_a_time_costs_no_line(log, tmp_path, database_url):
    with psycopg.connect(database_url) as conn:
        conn.execute("ALTER TABLE mtabounce.bounces RENAME TO elsewhere")
    log.write(20)
    with tailing(tmp_path, database_url, log) as process:
        until(lambda: ask(database_url, "SELECT count(*) FROM mtabounce.log_files")[0])
        time.sleep(3)  # it tries, and is refused
        with psycopg.connect(database_url) as conn:
            conn.execute("ALTER TABLE mtabounce.elsewhere RENAME TO bounces")
        until(lambda: stored(database_url)[0] >= log.count)
        _, said = stop(process)

    assert '"mtabounce.bounces" does not exist' in said
    assert stored(database_url) == (20, 20, 20)


@contextmanager
def small_disk(place, size):
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=711", "tmpfs", place],
        check=True,
    )
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@AS_ROOT
@MOUNTS
def test_disk_of_the_database_that_is_really_full(short_path, log, tmp_path):
    place = Path(tempfile.mkdtemp(dir=short_path))
    few = {"min_wal_size": "32MB", "max_wal_size": "64MB", "wal_recycle": "off"}
    with small_disk(place, "160m"), Embedded(place / "database", settings=few) as server:
        migrate(server.url)
        log.write(10)
        with tailing(tmp_path, server.url, log) as process:
            until(lambda: stored(server.url)[0] == 10)
            ballast = place / "ballast"
            subprocess.run(
                ["dd", "if=/dev/zero", f"of={ballast}", "bs=64k"], stderr=subprocess.DEVNULL
            )
            assert not os.statvfs(place).f_bavail
            log.write(9_000)
            time.sleep(3)  # it tries, and is told so
            log.rotate(keep=5)
            log.write(10)
            ballast.unlink()
            if not server.is_running:  # where there is no room for its journal, it ends itself
                server.stop()
                server.start()
            until(lambda: stored(server.url)[0] >= log.count)
            _, said = stop(process)
        found = stored(server.url)

    assert "No space left" in said or "PostgreSQL" in said
    assert found == (log.count, log.count, log.count)


def test_hosts_in_one_log_and_in_two_have_queue_ids_of_their_own(log, tmp_path, database_url):
    """The same queue ids at the same time: the Message-ID is that of the host."""
    other = log.path.with_name("other.log")
    config = tmp_path / "mtabounce.toml"
    follow = command(tmp_path, database_url, log)
    with config.open("a") as file:
        file.write(f'[[log]]\npath = "{other}"\nhost = "mail"\ntimezone = "UTC"\n')
    hosts = "mx1", "mx2", "mx3", "mx4"
    said = {host: [] for host in hosts}
    for number in range(20):
        for host in hosts:
            head, failed = f"Nov 23 03:12:17 {host} postfix", bounced(number, to=f"{number}@{host}")
            queue_id = f"{0x4A0000000 + number:X}"
            said[host] += [
                f"{head}/cleanup[9]: {queue_id}: message-id=<{number}@{host}>\n",
                f"{head}/qmgr[7]: {queue_id}: from=<b@{host}>, size=9, nrcpt=1 (queue active)\n",
                failed.replace(" mail ", f" {host} "),
                f"{head}/qmgr[7]: {queue_id}: removed\n",
            ]
    with subprocess.Popen(follow) as process:
        try:
            for at in range(80):  # line by line in turn, as a syslog server writes them
                for path, two in ((log.path, hosts[:2]), (other, hosts[2:])):
                    with path.open("a") as file:
                        file.writelines(said[host][at] for host in two)
            until(lambda: stored(database_url)[0] >= 80)
        finally:
            process.terminate()

    assert stored(database_url) == (80, 80, 80)
    assert ask(
        database_url,
        "SELECT count(*) FROM mtabounce.observations WHERE original_message_id = final_recipient",
    ) == (80,)


def test_many_archives_are_imported_while_the_log_is_written(log, tmp_path, database_url):
    archives = []
    for number in range(ARCHIVES):
        archives.append(log.path.with_name(f"old-{number}.gz"))
        lines = "".join(bounced(100_000 + number * 10 + each) for each in range(10))
        archives[-1].write_bytes(gzip.compress(lines.encode()))
    *start, _ = command(tmp_path, database_url, log)
    importing = [*start, "import", "logs", "--host", "mail", "--timezone", "UTC", *archives]
    with tailing(tmp_path, database_url, log) as process:
        with subprocess.Popen(importing, stdout=subprocess.DEVNULL) as archive:
            while archive.poll() is None:
                log.write(5)
                time.sleep(0.05)
        until(lambda: stored(database_url)[0] >= log.count + ARCHIVES * 10)
        _, said = stop(process)
    subprocess.run(importing, check=True, capture_output=True)

    assert archive.returncode == process.returncode == 0, said
    assert stored(database_url) == (log.count + ARCHIVES * 10,) * 3


def test_writer_that_keeps_the_renamed_file(log, tmp_path, database_url):
    with log.path.open("a", buffering=1) as old, tailing(tmp_path, database_url, log) as process:
        old.write(bounced(99_999))
        until(lambda: stored(database_url)[0] == 1)
        log.rotate(keep=5)
        over = time.monotonic() + LATE
        late = fresh = 0
        while time.monotonic() < over:
            old.write(bounced(100_000 + late))
            log.write(1)
            late, fresh = late + 1, fresh + 1
            time.sleep(0.1)
        time.sleep(LATE)
        old.write(bounced(100_000 + late))  # once more, after a time without a word
        until(lambda: stored(database_url)[0] >= late + 2 + fresh)
        stop(process)

    assert stored(database_url) == (late + 2 + fresh,) * 3


@AS_ROOT
def test_permission_that_a_rotation_takes_and_that_is_given_back(log, tmp_path, database_url):
    proxy = Proxy(database_url)  # powerless, we may not enter the place of its socket
    follow = [*POWERLESS, *command(tmp_path, proxy.url, log)]
    log.write(10)
    with subprocess.Popen(follow, stderr=subprocess.PIPE) as process:
        try:
            until(lambda: stored(database_url)[0] == 10)
            log.rotate(keep=5)
            log.path.chmod(0)
            log.write(10)
            time.sleep(1.5)  # it tries
            assert stored(database_url)[0] == 10
            log.rotate(keep=5)  # and what it may not read is renamed, too
            log.write(10)
            time.sleep(1.5)  # it waits for what comes first
            log.at(1).chmod(0o640)
            until(lambda: stored(database_url)[0] == 30)
            _, said = stop(process)
        finally:
            process.kill()
            proxy.close()

    assert said.count("Permission denied") >= 1
    assert stored(database_url) == (30, 30, 30)
