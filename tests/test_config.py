"""The configuration of the program: files that are wrong, files that are right, the commands."""

import json
import os
import re
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import BaseModel

from mtabounce.cli import mtabounce
from mtabounce.config.describe import commented
from mtabounce.config.shape import keys, section_in
from mtabounce.errors import ConfigError, UsageError
from mtabounce.settings import Settings, load_settings

CORPUS = Path(__file__).parent.parent / "fixtures" / "config"
BAD = sorted((CORPUS / "bad").glob("*.toml"))
GOOD = sorted((CORPUS / "good").glob("*.toml"))
KEYS = list(keys(Settings))
SINGLE = [key for key in KEYS if "*" not in key.place]  # not of a section there may be many of


@pytest.fixture
def run():
    def run(*arguments, **environ):
        return CliRunner(env=environ).invoke(mtabounce, ["config", *map(str, arguments)])

    return run


def name(key):
    return ".".join(key.place)


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_wrong_file_is_refused_with_the_message_that_it_expects(path):
    lines = path.read_text().splitlines()
    expected = [line.removeprefix("# expect: ") for line in lines if line.startswith("# expect: ")]

    with pytest.raises(ConfigError) as refusal:
        load_settings(path, {})

    assert str(refusal.value).replace(str(path), "FILE").splitlines() == expected


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_right_file_is_read(path):
    said = tomllib.loads(path.read_text())

    settings = load_settings(path, {})

    assert settings.model_fields_set == set(said)


def test_nothing_at_all_is_a_working_set_up(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    settings = load_settings(None, {})

    assert settings == Settings()
    assert str(settings.http.listen) == "127.0.0.1:9000"
    assert list(map(str, settings.receiver.listen)) == ["127.0.0.1:2525"]
    assert settings.database.url is None


@pytest.mark.parametrize("key", KEYS, ids=name)
def test_key_has_a_description_in_a_sentence(key):
    assert key.description
    assert key.description[0].isupper() or key.description.startswith("libpq")
    assert key.description.rstrip("\"')").endswith(".")
    assert key.owner.__doc__


@pytest.mark.parametrize("key", KEYS, ids=name)
def test_kind_of_key_has_a_word(key):
    assert "value" not in key.kind


@pytest.mark.parametrize("key", SINGLE, ids=name)
def test_default_of_key_reads_as_no_key_at_all(key, tmp_path):
    path = tmp_path / "mtabounce.toml"
    if key.default and "default" not in (key.field.json_schema_extra or ()):
        path.write_text(f"{key.header}\n{key.name} = {key.default}\n")

        assert load_settings(path, {}) == Settings()


@pytest.mark.parametrize("key", SINGLE, ids=name)
def test_key_can_be_set_by_its_variable(key, tmp_path):
    default = key.field.get_default(call_default_factory=True)
    plain = tomllib.loads(f"x = {key.default}")["x"] if key.default else None
    if isinstance(plain, str | int | bool) and not key.field.json_schema_extra:
        settings = load_settings(None, {key.environment: str(plain)})

        for part in key.place:
            settings = getattr(settings, part)
        assert settings == default


def sections(kind):
    yield kind
    for field in kind.model_fields.values():
        if inner := section_in(field.annotation):
            yield from sections(inner)


@pytest.mark.parametrize("section", list(sections(Settings)), ids=lambda one: one.__name__)
def test_section_refuses_what_it_does_not_know_and_never_changes(section: type[BaseModel]):
    assert section.model_config.get("extra") == "forbid"
    assert section.model_config.get("frozen")


def test_init_writes_a_file_that_changes_nothing(run, tmp_path):
    path = tmp_path / "mtabounce.toml"

    ran = run("init", path)

    assert ran.exit_code == 0, ran.output
    assert load_settings(path, {}) == Settings()
    assert all(key.name in path.read_text() for key in KEYS)


def test_init_keeps_a_file_that_is_there(run, tmp_path):
    path = tmp_path / "mtabounce.toml"
    path.write_text("# mine")

    ran = run("init", path)

    assert isinstance(ran.exception, UsageError)
    assert "--force overwrites it" in str(ran.exception)
    assert path.read_text() == "# mine"
    assert run("init", "--force", path).exit_code == 0
    assert path.read_text() == commented(Settings)


def test_init_that_cannot_write_says_why(run, tmp_path):
    ran = run("init", tmp_path / "none" / "mtabounce.toml")

    assert isinstance(ran.exception, UsageError)
    assert str(ran.exception).endswith("No such file or directory")


def test_every_line_of_the_written_file_can_be_taken_in(tmp_path):
    sections = re.split(r"(?m)^(?=#?\[)", commented(Settings))
    text = "\n".join(
        line.removeprefix("#")
        for section in sections
        for line in section.splitlines()
        if not section.startswith("#[") and not line.startswith("# ") and "=   #" not in line
    )
    path = tmp_path / "mtabounce.toml"
    path.write_text(text)

    load_settings(path, {})

    assert text.count(" = ") == sum(key.default is not None for key in SINGLE)


def test_check_names_what_is_set_and_where(run, tmp_path):
    path = tmp_path / "mtabounce.toml"
    path.write_text('[http]\nlisten = "127.0.0.1:9001"\n')

    ran = run("check", path, MTABOUNCE_WORKER__BATCH="7")

    assert ran.output.splitlines() == [
        f"{path}: no fault found, 2 keys set.",
        f'  [http] listen = "127.0.0.1:9001"  ({path}:2)',
        "  [worker] batch = 7  (MTABOUNCE_WORKER__BATCH)",
    ]


def test_check_looks_at_the_rules_too(run, tmp_path):
    path = tmp_path / "mtabounce.toml"
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "a.toml").write_text('[[rule]]\nid = "a"\nreason = "unknown_user"\n')
    path.write_text('[rules]\nfolder = "own"\n')

    ran = run("check", path)

    assert isinstance(ran.exception, ConfigError)
    assert "a.toml:1: rule 'a': reason: there is no reason 'unknown_user'" in str(ran.exception)


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_service_with_a_wrong_rule_does_not_start(tmp_path, command):
    path = tmp_path / "mtabounce.toml"
    (tmp_path / "a.toml").write_text('[[rule]]\nid = "a"\nreason = "unknown_user"\n')
    path.write_text(f'[rules]\nfolder = "{tmp_path}"\n[state]\ndirectory = "{tmp_path}/state"\n')

    ran = subprocess.run(
        [sys.executable, "-m", "mtabounce", "--config", path, command],
        capture_output=True,
        text=True,
    )

    assert ran.returncode == os.EX_CONFIG
    assert "there is no reason 'unknown_user'" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_program_exits_78_with_a_line_a_fault(tmp_path):
    path = tmp_path / "mtabounce.toml"
    path.write_text("[htp]\n[worker]\nbatch = 0\n")

    ran = subprocess.run(
        [sys.executable, "-m", "mtabounce", "config", "check", path],
        capture_output=True,
        text=True,
    )

    assert ran.returncode == os.EX_CONFIG
    assert ran.stdout == ""
    assert [line.split("]")[0] for line in ran.stderr.splitlines()] == [
        f"mtabounce: {path}:1: there is no section [htp",
        f"mtabounce: {path}:3: [worker",
    ]


def test_show_says_of_each_value_where_it_comes_from(run, tmp_path):
    path = tmp_path / "mtabounce.toml"
    path.write_text('[receiver]\nidle_timeout = "90s"\n')

    ran = run("show", "--json", MTABOUNCE_CONFIG=str(path), MTABOUNCE_WORKER__BATCH="7")

    shown = json.loads(ran.output)
    assert shown["file"] == str(path)
    assert shown["values"]["receiver.idle_timeout"] == {"value": "90s", "origin": f"{path}:2"}
    assert shown["values"]["worker.batch"] == {"value": 7, "origin": "MTABOUNCE_WORKER__BATCH"}
    assert shown["values"]["database.url"] == {"value": None, "origin": "default"}
    assert set(shown["values"]) == set(map(name, SINGLE))


@pytest.mark.parametrize("how", [["show"], ["show", "--json"], ["check"]])
def test_password_in_the_url_is_not_shown(run, how):
    url = "postgresql://u:swordfish@db.example.org/x"

    ran = run(*how, MTABOUNCE_DATABASE__URL=url)

    assert "swordfish" not in ran.output
    assert "postgresql://u:***@db.example.org/x" in ran.output


def test_what_show_prints_is_a_configuration_itself(run, tmp_path):
    path = tmp_path / "mtabounce.toml"

    path.write_text(run("show", MTABOUNCE_WORKER__BATCH="7").output)

    assert load_settings(path, {}).worker.batch == 7


def test_open_secrets_are_refused_whoever_wrote_them(tmp_path):
    """The rule of SecretFile holds for each key of that kind, of whatever section."""
    secrets = [key for key in KEYS if key.kind.endswith("secret file")]
    path = tmp_path / "secret"
    path.write_text("swordfish")
    path.chmod(stat.S_IRUSR | stat.S_IROTH)

    for key in secrets:
        config = tmp_path / "mtabounce.toml"
        listed = key.place[1] == "*" and ".NAME" not in key.header
        outer = f"[[{key.place[0]}]]\n" if listed else ""  # of a section in a list
        inner = "" if outer.strip() == key.header else f"{key.header}\n"
        config.write_text(f'{outer}{inner}{key.name} = "{path}"\n')
        with pytest.raises(ConfigError, match="run: chmod 600"):
            load_settings(config, {})
