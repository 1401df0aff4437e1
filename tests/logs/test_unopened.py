"""Files that cannot be opened, or not all at once, or were closed before: none keeps others."""

import os
import resource
import subprocess
import time
from functools import partial

import psycopg
import pytest

from .processes import AS_ROOT, POWERLESS, Proxy, ask, command, stop, stored, tailing
from .waiting import until

MANY, FEW = 300, 128  # rotated files, and files that the process may have open
IMPATIENT = (
    "from mtabounce.sources import _aside, tailer; _aside.PATIENCE = 1.5; tailer.LINGER = 0.1;"
    "from mtabounce.cli import mtabounce; mtabounce()"
)


@pytest.fixture
def catch_up(log, tmp_path, database_url):
    """Read all there is, with some limit of open files."""
    python, _, _, *words = command(tmp_path, database_url, log)
    follow = [python, "-c", IMPATIENT, *words, "--until-idle"]

    def _catch_up(limit=1024):
        return subprocess.run(
            follow,
            preexec_fn=partial(resource.setrlimit, resource.RLIMIT_NOFILE, (limit, limit)),
            stderr=subprocess.PIPE,
            check=True,
            timeout=120,
        ).stderr.decode()

    return _catch_up


@pytest.fixture
def follow(log, tmp_path, database_url):
    """Start a tailer that may not read everything, and does not wait for long."""
    proxy = Proxy(database_url)  # powerless, it may not enter the place of the socket
    python, *_, config, tail = command(tmp_path, proxy.url, log)
    said = tmp_path / "said"
    started = []

    def _follow():
        words = [*POWERLESS, python, "-c", IMPATIENT, "--config", config, tail]
        with said.open("ab") as file:
            started.append(subprocess.Popen(words, stderr=file))
        return started[-1]

    _follow.said = said.read_text
    _follow.doctor = [*POWERLESS, python, "-m", "mtabounce", "--config", config, "doctor"]
    yield _follow
    for one in started:
        one.kill()
        one.wait()
    proxy.close()


def end(process):
    process.terminate()
    process.wait(timeout=90)


@AS_ROOT
def test_rotated_file_that_may_not_be_read_keeps_no_newer_one_back(log, database_url, follow):
    log.write(10)
    process = follow()
    until(lambda: stored(database_url)[0] == 10)
    log.write(5)
    log.rotate(keep=5)
    log.path.chmod(0)
    log.write(10)
    log.rotate(keep=5)
    log.write(10)
    until(lambda: stored(database_url)[0] == 25)
    doctor = subprocess.run(follow.doctor, stdout=subprocess.PIPE).stdout.decode()
    end(process)

    assert f"{log.at(1)}: Permission denied" in follow.said()
    assert f"{log.at(1)}: Permission denied: what it holds is missing" in doctor
    process = follow()
    log.write(5)
    until(lambda: stored(database_url)[0] == 30)
    log.rotate(keep=5)
    log.write(5)
    until(lambda: stored(database_url)[0] == 35)
    log.at(2).chmod(0o640)
    until(lambda: stored(database_url)[0] == log.count)
    end(process)

    assert stored(database_url) == (log.count,) * 3


@AS_ROOT
@pytest.mark.parametrize("rotated", [False, True])
def test_file_that_may_not_be_read_after_a_restart_is_not_lost(log, database_url, follow, rotated):
    log.write(10)
    process = follow()
    until(lambda: stored(database_url)[0] == 10)
    end(process)
    log.write(10)
    log.path.chmod(0)
    process = follow()
    place = log.path
    if rotated:
        log.rotate(keep=5)
        place = log.at(1)
        log.write(10)
        until(lambda: stored(database_url)[0] == 20)
    until(lambda: "it is read once it can be" in follow.said())
    place.chmod(0o640)
    until(lambda: stored(database_url)[0] == log.count)
    log.write(1)
    until(lambda: stored(database_url)[0] == log.count)
    end(process)

    assert "lost" not in follow.said()
    assert stored(database_url) == (log.count,) * 3


def test_more_rotated_files_than_may_be_open(log, database_url, catch_up):
    log.write(1)
    catch_up()
    for number in range(MANY):
        log.path.rename(log.at(MANY - number))
        log.write(2)
        moved_at = time.time() - 7200 + number
        os.utime(log.at(MANY - number), (moved_at, moved_at))
    with psycopg.connect(database_url) as conn:
        conn.execute("UPDATE mtabounce.log_files SET updated_at = now() - interval '1 day'")
    said = catch_up(FEW)

    assert stored(database_url) == (log.count,) * 3
    assert "Too many open files" not in said


def test_file_that_is_moved_back_to_its_place_is_not_read_again(log, database_url, catch_up):
    log.write(10)
    catch_up()
    first = log.path.rename(log.at(1))
    log.write(10)
    time.sleep(0.2)  # longer than it lingers
    catch_up()
    assert ask(database_url, "SELECT count(*) FROM mtabounce.log_files WHERE finished") == (1,)
    log.path.rename(log.at(2))
    first.rename(log.path)  # an operator takes the rotation back
    log.write(10)
    catch_up()
    catch_up()

    assert stored(database_url) == (30, 30, 30)


def test_partition_that_is_not_there_for_a_time_costs_no_line(log, tmp_path, database_url):
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "CREATE TABLE public.elsewhere (day date) PARTITION BY RANGE (day);"
            "CREATE FUNCTION also() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " INSERT INTO public.elsewhere VALUES (now()); RETURN NEW; END $$;"
            "CREATE TRIGGER also BEFORE INSERT ON mtabounce.observations"
            " FOR EACH ROW EXECUTE FUNCTION also()"
        )
    log.write(20)
    with tailing(tmp_path, database_url, log) as process:
        until(lambda: ask(database_url, "SELECT count(*) FROM mtabounce.log_files")[0])
        time.sleep(5)  # it tries, and is refused
        with psycopg.connect(database_url) as conn:
            conn.execute("CREATE TABLE public.days PARTITION OF public.elsewhere DEFAULT")
        until(lambda: stored(database_url)[0] >= log.count)
        _, said = stop(process)

    assert "no partition of relation" in said
    assert "left out" not in said
    assert stored(database_url) == (20, 20, 20)
