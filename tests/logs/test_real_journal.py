"""journald itself, in a file system of its own: entries come, files are rotated, old ones go."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from .lines import bounced
from .processes import MOUNTS
from .waiting import until

JOURNALD = Path("/lib/systemd/systemd-journald")
# All of it happens in mounts that nobody else sees, and that end with the process. What logs as
# Postfix is in /opt, where people's own programs are not.
PLACE = """
mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /opt && mkdir -p /run/log/journal &&
cp "$(command -v logger)" /opt/smtp && exec "$0"
"""

pytestmark = [
    pytest.mark.skipif(
        os.geteuid() != 0 or not JOURNALD.exists() or not shutil.which("nsenter"),
        reason="journald is not here, or we are not root",
    ),
    MOUNTS,
]


class Journal:
    """A journald, and what is done beside it."""

    def __init__(self, process):
        self._enter = ["nsenter", f"--target={process.pid}", "--mount", "--"]
        self.count = 0

    def run(self, *args, **options):
        done = subprocess.run([*self._enter, *args], capture_output=True, text=True, **options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, *args):
        return subprocess.Popen([*self._enter, *args], stderr=subprocess.PIPE)

    def write(self, count, *, program=("/opt/smtp",)):
        lines = [bounced(number) for number in range(self.count, self.count + count)]
        self.count += count
        said = "".join(line.partition("]: ")[2] for line in lines)
        options = "--tag=postfix/smtp", "--priority=mail.info", "--id"
        self.run(*program, *options, "--socket=/run/systemd/journal/dev-log", input=said)

    def forget(self):
        """Begin a new file, and delete the old ones."""
        self.run("journalctl", "--rotate")
        self.run("sh", "-c", "rm /run/log/journal/*/*@*.journal")


@pytest.fixture
def journald():
    with subprocess.Popen(["unshare", "--mount", "sh", "-c", PLACE, JOURNALD]) as process:
        try:
            one = Journal(process)
            socket = Path(f"/proc/{process.pid}/root/run/systemd/journal/dev-log")
            until(socket.exists)
            yield one
        finally:
            process.kill()


@pytest.fixture
def command(tmp_path, database_url):
    config = tmp_path / "mtabounce.toml"
    config.write_text(
        f'[database]\nurl = "{database_url}"\n[[log]]\npath = "journal"\nhost = "mail"\n'
    )
    return [sys.executable, "-m", "mtabounce", "--config", str(config), "tail"]


@pytest.fixture
def stored(database_url):
    def _stored():
        with psycopg.connect(database_url) as conn:
            return conn.execute(
                "SELECT count(*), count(DISTINCT final_recipient) FROM mtabounce.observations"
            ).fetchone()

    return _stored


def test_journal_is_followed_over_rotation_and_a_kill(journald, command, stored):
    journald.write(20)
    process = journald.start(*command)
    try:
        until(lambda: stored()[0] == 20)
        journald.write(20)
        journald.run("journalctl", "--rotate")
        journald.write(20)
        until(lambda: stored()[0] >= 50)
    finally:
        process.kill()
        process.communicate()
    journald.write(20)
    journald.run(*command, "--until-idle")

    assert stored() == (80, 80)


def test_entries_that_are_gone_are_no_hindrance(journald, command, stored):
    journald.write(20)
    journald.run(*command, "--until-idle")
    journald.forget()
    journald.write(20)
    journald.run(*command, "--until-idle")
    journald.run(*command, "--until-idle")

    assert stored() == (40, 40)


def test_logger_of_a_person_is_not_believed(journald, command, stored):
    person = "setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"
    journald.write(5, program=(*person, "logger"))
    journald.write(5)
    journald.run(*command, "--until-idle")

    assert stored() == (5, 5)
