"""The doctor finds what is wrong, says how to mend it, and changes nothing."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from click.testing import CliRunner

from mtabounce.cli import mtabounce
from mtabounce.doctor import Level, checks, examine

FIRST = "mx1.example.org (192.0.2.1 2001:db8::1)"
POSTFIX = shutil.which("postconf", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@pytest.fixture
def found(tmp_path, short_path):
    """Examine a configuration; give the findings of one check as (level, text, mend)."""

    def found(check, text="", resolver=None, state="doctor"):
        path = tmp_path / "mtabounce.toml"
        if not path.exists():
            path.write_text(f'[state]\ndirectory = "{short_path / state}"\n{text}')
        findings = examine(path, resolver, [check])
        return [(one.level, one.text, one.mend) for one in findings]

    return found


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_every_check_has_a_title_of_its_own():
    titles = [check.title for check in checks()]

    assert titles == sorted(set(titles), key=titles.index)
    assert titles[0] == "configuration"


def test_wrong_configuration_is_all_that_is_told(tmp_path):
    path = tmp_path / "mtabounce.toml"
    path.write_text("[htp]\n[receiver]\nlisen = []")

    findings = list(examine(path))

    assert [finding.check for finding in findings] == ["configuration"] * 2
    assert findings[1].text.endswith(
        "toml:3: [receiver] has no key 'lisen'; did you mean 'listen'?"
    )


def test_password_that_others_may_read_is_warned_of(found, tmp_path):
    url = "postgresql://u:swordfish@127.0.0.1:1/x"

    open_one = found("configuration", f'[database]\nurl = "{url}"')
    (tmp_path / "mtabounce.toml").chmod(0o640)
    closed_one = found("configuration")

    assert [level for level, _, _ in open_one] == [Level.OK, Level.WARN]
    assert "chmod 640" in open_one[1][2]
    assert [level for level, _, _ in closed_one] == [Level.OK]


def test_database_in_order_is_named_with_its_version(found, database_url):
    (reached, schema) = found("database", f'[database]\nurl = "{database_url}"')

    assert reached[0] is schema[0] is Level.OK
    assert reached[1].startswith("PostgreSQL ")
    assert "what this program needs" in schema[1]


def test_empty_database_is_told_with_the_command_that_fills_it(found, empty_database_url):
    (_, schema) = found("database", f'[database]\nurl = "{empty_database_url}"')

    assert schema == (Level.WARN, "the database is empty", "run: mtabounce db migrate")


def test_database_of_a_newer_program_fails(found, database_url):
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "INSERT INTO mtabounce.migrations SELECT (jsonb_populate_record(m, '{"
            '"migration_hash": "x", "migration_id": "9999_later"'
            "}')).* FROM mtabounce.migrations AS m LIMIT 1"
        )

    (_, schema) = found("database", f'[database]\nurl = "{database_url}"')

    assert schema[0] is Level.FAIL
    assert schema[2] == "upgrade mtabounce on this host"


def test_database_that_is_away_fails_and_its_password_is_not_told(found, port):
    findings = found("database", f'[database]\nurl = "postgresql://u:swordfish@127.0.0.1:{port}/x"')

    assert [level for level, _, _ in findings] == [Level.FAIL]
    assert f"127.0.0.1:{port}" in findings[0][1]
    assert "swordfish" not in str(findings)


def test_embedded_database_is_not_made_by_looking(found, short_path):
    ((level, text, mend),) = found("database", state="never")

    assert level is Level.OK
    assert "not running" in text
    assert mend == "start it with: mtabounce serve"
    assert not (short_path / "never").exists()


def test_free_ports_are_in_order(found, port):
    (http, mail) = found(
        "ports", f'[http]\nlisten = "127.0.0.1:{port}"\n[receiver]\nlisten = ["localhost:{port}"]'
    )

    assert http == (Level.OK, f"[http] listen 127.0.0.1:{port}: free; no mtabounce runs there", "")
    assert mail[0] is Level.OK


def test_port_of_another_program_fails_and_says_how_to_find_it(found):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        ((level, text, mend), _) = found("ports", f'[http]\nlisten = "127.0.0.1:{port}"')

    assert level is Level.FAIL
    assert text == f"[http] listen 127.0.0.1:{port}: another program listens there"
    assert f"sport = :{port}" in mend


def test_address_of_another_machine_fails(found):
    (_, mail) = found(
        "ports", '[receiver]\nlisten = ["192.0.2.7:25"]\nreturn_paths = ["@b.example.org"]'
    )

    assert mail[:2] == (
        Level.FAIL,
        "[receiver] listen 192.0.2.7:25: is no address of this machine",
    )


def test_socket_in_a_missing_folder_fails(found, tmp_path):
    path = tmp_path / "none" / "lmtp.sock"

    findings = found("ports", f'[receiver]\nlmtp_listen = ["{path}"]')

    assert findings[-1][2] == f"run: mkdir -p {path.parent}"


def test_running_mtabounce_is_recognized(found, tmp_path, database_url):
    path = tmp_path / "mtabounce.toml"
    path.write_text(
        f'[database]\nurl = "{database_url}"\n'
        '[receiver]\nlisten = ["127.0.0.1:0"]\n[http]\nlisten = "127.0.0.1:0"\n'
    )
    command = [sys.executable, "-m", "mtabounce", "--config", str(path), "serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as serve:
        try:
            addresses = listening(serve)
            path.write_text(
                f'[receiver]\nlisten = ["{addresses["mail"]}"]\n'
                f'[http]\nlisten = "{addresses["http"].removeprefix("http://")}"\n'
            )
            findings = found("ports")
        finally:
            serve.send_signal(signal.SIGTERM)

    assert [level for level, _, _ in findings] == [Level.OK, Level.OK]
    assert all(text.endswith("mtabounce runs there") for _, text, _ in findings)
    assert not any("free" in text for _, text, _ in findings)


def listening(serve):
    addresses = {}
    while "database" not in addresses:
        name, _, address = serve.stdout.readline().strip().partition("  ")
        addresses[name] = address.strip()
    return addresses


def add_input(url, state, age):
    with psycopg.connect(url) as conn:
        conn.execute(
            "INSERT INTO mtabounce.inputs (source, received_at, content, state, forward_paths, "
            "peer, trusted) VALUES ('test', %s, 'x', %s, '{}', '', false)",
            [datetime.now(UTC) - age, state],
        )


def test_inputs_that_wait_long_fail_and_failed_ones_warn(found, database_url):
    config = f'[database]\nurl = "{database_url}"'
    assert found("workers", config) == [(Level.OK, "no input waits", "")]

    add_input(database_url, "pending", timedelta(seconds=9))
    assert [level for level, _, _ in found("workers")] == [Level.OK]

    add_input(database_url, "pending", timedelta(hours=2))
    add_input(database_url, "failed", timedelta(hours=2))
    (late, failed) = found("workers")

    assert late[0] is Level.FAIL
    assert late[1].startswith("2 inputs wait, the oldest for ")
    assert failed[:2] == (Level.WARN, "1 inputs could not be read")


@pytest.mark.parametrize(
    ("domain", "level", "text"),
    [
        (
            "bounces.example.org",
            Level.OK,
            f"mail for bounces.example.org goes to {FIRST}, mx2.example.org (192.0.2.2)",
        ),
        (
            "implicit.example.org",
            Level.OK,
            "mail for implicit.example.org goes to implicit.example.org (192.0.2.3)",
        ),
        ("null.example.org", Level.FAIL, "null.example.org takes no mail (null MX)"),
        ("none.example.org", Level.FAIL, "none.example.org does not exist in the DNS"),
        (
            "lost.example.org",
            Level.FAIL,
            "lost.example.org: MX gone.example.org has no address",
        ),
    ],
)
def test_return_path_is_followed_to_its_hosts(found, resolver, domain, level, text):
    ((is_level, is_text, _),) = found(
        "return-path", f'[receiver]\nreturn_paths = ["bounces@{domain}"]', resolver
    )

    assert (is_level, is_text) == (level, text)


def test_silent_dns_is_a_warning(found, resolver):
    ((level, text, _),) = found(
        "return-path", '[receiver]\nreturn_paths = ["@silent.example.org"]', resolver
    )

    assert level is Level.WARN
    assert text.startswith("the DNS gives no answer about silent.example.org")


@pytest.mark.skipif(POSTFIX is None, reason="Postfix is not installed")
@pytest.mark.parametrize(
    ("value", "level"), [("no", Level.WARN), ("normalize", Level.OK), ("yes", Level.OK)]
)
def test_postfix_that_can_be_smuggled_into_is_told(found, tmp_path, monkeypatch, value, level):
    (tmp_path / "main.cf").write_text(f"smtpd_forbid_bare_newline = {value}\n")
    (tmp_path / "master.cf").touch()
    monkeypatch.setenv("MAIL_CONFIG", str(tmp_path))

    ((is_level, text, mend),) = found("postfix")

    assert is_level is level
    assert f"smtpd_forbid_bare_newline = {value}" in text
    assert ("postconf -e" in mend) == (level is Level.WARN)


def test_local_rule_that_is_wrong_fails(found, tmp_path):
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "own.toml").write_text("[[rule]]\nid = ")

    ((level, text, _),) = found("rules", '[rules]\nfolder = "rules"')

    assert level is Level.FAIL
    assert "own.toml" in text


def test_command_exits_78_where_something_fails_and_prints_a_finding_a_line(tmp_path):
    path = tmp_path / "mtabounce.toml"
    path.write_text("[htp]")

    ran = CliRunner().invoke(mtabounce, ["--config", str(path), "doctor", "--json"])

    (finding,) = map(json.loads, ran.stdout.splitlines())
    assert ran.exit_code == os.EX_CONFIG
    assert finding["level"] == "fail"
    assert set(finding) == {"check", "level", "text", "mend"}


def test_database_that_cannot_be_written_to_is_found(found, database_url):
    settings = f'[database]\nurl = "{database_url}"'
    assert [level for level, *_ in found("database", settings)] == [Level.OK, Level.OK]
    with psycopg.connect(database_url, autocommit=True) as conn:
        name = conn.info.dbname
        conn.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")

    *_, (level, text, mend) = found("database", settings)

    assert level is Level.FAIL
    assert text.startswith("cannot be written to: PostgreSQL: cannot execute INSERT in a read-only")
    assert mend.startswith("free space on its disk")
