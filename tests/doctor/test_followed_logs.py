"""The doctor looks at the logs that are followed."""

import os

import pytest
from click.testing import CliRunner

from mtabounce.cli import mtabounce
from mtabounce.doctor import Level, examine
from tests.logs.lines import LOGS

SHORT = LOGS / "postfix" / "3.7-short-ids.log"


@pytest.fixture
def config(tmp_path, database_url):
    path = tmp_path / "mtabounce.toml"
    path.write_text(f'[database]\nurl = "{database_url}"\n[[log]]\npath = "{tmp_path}/mail.log"\n')
    return path


@pytest.fixture
def found(config):
    def _found():
        return [(one.level, one.text) for one in examine(config, None, ["logs"])]

    return _found


@pytest.fixture
def tail(config):
    def _tail():
        result = CliRunner().invoke(mtabounce, ["--config", str(config), "tail", "--until-idle"])
        assert result.exit_code == 0, result.output

    return _tail


def test_missing_log_is_a_failure(found, tmp_path):
    assert found() == [(Level.FAIL, f"{tmp_path}/mail.log is not there")]


def test_log_that_was_rotated_and_is_not_begun_anew(found, tail, tmp_path):
    path = tmp_path / "mail.log"
    path.write_bytes(SHORT.read_bytes())
    tail()

    path.rename(tmp_path / "mail.log.1")

    assert found() == [(Level.OK, f"{path} was rotated, and nothing is logged since")]


def test_log_that_nobody_reads_is_a_warning(found, tmp_path):
    (tmp_path / "mail.log").write_bytes(SHORT.read_bytes())

    assert found() == [(Level.WARN, f"{tmp_path}/mail.log was never read")]


def test_log_that_is_read_and_understood(found, tail, tmp_path):
    (tmp_path / "mail.log").write_bytes(SHORT.read_bytes())
    tail()

    ((level, text),) = found()

    assert level is Level.OK
    assert "1118 lines, 764 about messages, 236 deliveries" in text


def test_log_of_which_nothing_is_understood(found, tail, tmp_path):
    (tmp_path / "mail.log").write_bytes(b"Nov 23 03:12:17 www nginx: GET /\n" * 2000)
    tail()

    ((level, text),) = found()

    assert level is Level.FAIL
    assert "of its last 2000 lines not one was understood" in text


def test_log_that_stands_still_while_its_file_grows(found, tail, tmp_path):
    log = tmp_path / "mail.log"
    log.write_bytes(SHORT.read_bytes()[:-100])
    tail()
    log.write_bytes(SHORT.read_bytes())
    later = log.stat().st_mtime + 3600
    os.utime(log, (later, later))

    levels = [level for level, _ in found()]

    assert levels == [Level.OK, Level.FAIL]
