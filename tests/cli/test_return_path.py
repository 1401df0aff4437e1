"""return-path: make, check, keys."""

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from mtabounce.cli import mtabounce
from mtabounce.errors import ConfigError, UsageError


@pytest.fixture
def config(database_url, tmp_path):
    path = tmp_path / "mtabounce.toml"
    path.write_text(f'[database]\nurl = "{database_url}"\n')
    return path


@pytest.fixture
def run(config):
    def run(*words):
        return CliRunner().invoke(mtabounce, ["--config", str(config), "return-path", *words])

    return run


@pytest.fixture
def key(config, run, tmp_path):
    """A function that makes a key file and puts it first in the configuration."""
    made = []

    def make(name):
        run("keys", "new", str(tmp_path / name))
        made.insert(0, f'{{ id = "{name}", secret_file = "{tmp_path / name}" }}')
        start = config.read_text().partition("[return_path]")[0]
        keys = f'[return_path]\ndomain = "b.example.org"\nkeys = [{", ".join(made)}]\n'
        config.write_text(start + keys)

    return make


def test_return_path_is_made_and_checked(run, key):
    key("a")
    made = run("make", "Ann@Example.NET", "--campaign", "spring").stdout.strip()

    checked = run("check", "--json", made.upper())

    assert made.endswith("@b.example.org")
    assert checked.exit_code == 0
    found = json.loads(checked.stdout)
    assert found.pop("expires")
    assert found == {"result": "genuine", "recipient": "ann@example.net", "campaign": "spring"}


@pytest.mark.parametrize("address", ["b@b.example.org", "b+17@b.example.org", "x"])
def test_what_proves_nothing_ends_with_1(run, key, address):
    key("a")

    checked = run("check", address)

    assert (checked.exit_code, checked.stdout) == (1, "result  unsigned\n")


def test_new_key_is_readable_by_nobody_else_and_never_overwritten(run, tmp_path):
    made = run("keys", "new", str(tmp_path / "key"))
    again = run("keys", "new", str(tmp_path / "key"))

    assert stat.S_IMODE(Path(tmp_path / "key").stat().st_mode) == 0o600
    assert "keys = [{ id =" in made.stdout
    assert isinstance(again.exception, UsageError)


def test_keys_are_turned_step_by_step(run, key):
    key("a")
    assert "SQL does not have it" in run("keys").stdout
    assert run("keys", "sync").stdout == "SQL has 1 keys, and signs with a.\n"
    old = run("make", "ann@example.net").stdout.strip()

    key("c")
    assert "SQL signs by other keys" in run("keys").stdout
    run("keys", "sync")

    assert run("keys").stdout == "c  signs, and is believed\na  is believed\n"
    assert run("check", old).exit_code == 0


def test_without_keys_it_says_how_to_make_one(run):
    assert isinstance(run("make", "ann@example.net").exception, ConfigError)


def test_what_is_no_address_is_refused(run, key):
    key("a")

    assert isinstance(run("make", "no address").exception, UsageError)


def test_short_secret_is_refused_in_one_line(run, key, tmp_path):
    key("a")
    (tmp_path / "a").write_text("short\n")

    refusal = run("keys").exception

    assert isinstance(refusal, ConfigError)
    assert "has fewer than 16 characters" in str(refusal)
    assert "\n" not in str(refusal)
