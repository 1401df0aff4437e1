"""journald, of which only journalctl is known: a stand-in for it writes what it would."""

import asyncio
import json
import os
from datetime import UTC, datetime
from functools import partial

import psycopg
import pytest

from mtabounce import classify
from mtabounce.pipeline.decide import Recorder
from mtabounce.pipeline.log_record import LogRecorder
from mtabounce.policy import PolicySettings
from mtabounce.settings import load_settings
from mtabounce.sources.journal import JournalTailer
from mtabounce.sources.log_settings import LogSettings
from mtabounce.store.connection import connect

from .lines import bounced
from .test_postfix import SHORT, journal

# Entries are the lines of a file; the cursor is the number of the line. "gone" is no cursor.
JOURNALCTL = """#!/bin/sh
at=1
for option; do
    case $option in
    --cursor=gone) echo "Failed to seek to cursor" >&2; exit 1 ;;
    --cursor=*) at=${option#--cursor=} ;;
    --follow) follow=-f ;;
    esac
done
exec tail $follow -n +$at "$JOURNAL"
"""


@pytest.fixture
def entries(tmp_path, monkeypatch):
    program = tmp_path / "bin" / "journalctl"
    program.parent.mkdir()
    program.write_text(JOURNALCTL)
    program.chmod(0o755)
    path = tmp_path / "entries"
    path.touch()
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("JOURNAL", str(path))
    return path


@pytest.fixture
def tailer(database_url, entries):
    recorder = LogRecorder(classify.load(), Recorder(PolicySettings()), "journal", "mail")
    connecting = partial(connect, database_url, application_name="mtabounce test")

    def _tailer():
        return JournalTailer(LogSettings(path="journal", host="mail"), connecting, recorder)

    return _tailer


@pytest.fixture
def count(database_url):
    def _count():
        with psycopg.connect(database_url) as conn:
            return conn.execute(
                "SELECT (SELECT count(*) FROM mtabounce.observations),"
                " (SELECT sum(sent + deferred + bounced)::int FROM mtabounce.delivery_stats)"
            ).fetchone()

    return _count


def write(path, first, last):
    lines = SHORT.read_bytes().splitlines()
    with path.open("ab") as file:
        for number, line in list(enumerate(lines, 1))[first:last]:
            file.write(journal(line).replace(b'"s=0"', f'"{number}"'.encode()) + b"\n")


async def test_journal_is_read_on_from_its_cursor(tailer, entries, count):
    write(entries, 0, 600)
    await tailer().run(until_idle=True)
    write(entries, 600, None)
    await tailer().run(until_idle=True)
    await tailer().run(until_idle=True)

    assert count()[0] == 65
    # Three answer address probes, one is forwarded and counted where it ends, 22 expired later.
    assert count()[1] == 236 - 3 - 1 + 22


async def test_journal_is_followed(tailer, entries, count):
    one = tailer()
    task = asyncio.create_task(one.run())
    write(entries, 0, None)
    async with asyncio.timeout(60):
        while (await asyncio.to_thread(count))[0] < 65:  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.05)
    one.stop()
    await asyncio.wait_for(task, 5)


async def test_cursor_that_is_gone_begins_anew(tailer, entries, count, database_url):
    write(entries, 0, None)
    await tailer().run(until_idle=True)
    with psycopg.connect(database_url) as conn:
        conn.execute("UPDATE mtabounce.log_files SET journal = 'gone'")
    one = tailer()
    task = asyncio.create_task(one.run())
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(cursor, database_url):  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.05)
    one.stop()
    await asyncio.wait_for(task, 5)

    assert count()[0] == 65


def cursor(url):
    with psycopg.connect(url) as conn:
        (found,) = conn.execute("SELECT journal FROM mtabounce.log_files").fetchone()
        return found not in ("", "gone")


def test_time_of_the_journal_is_universal(read):
    (found, *_) = read(*map(journal, SHORT.read_bytes().splitlines()))

    assert found.occurred_at == datetime(2026, 11, 23, 3, 12, 17, tzinfo=UTC)


POSTFIX = {"_EXE": "/usr/lib/postfix/sbin/smtp", "_COMM": "smtp", "_UID": "101"}
EXIM = {"_EXE": "/usr/sbin/exim4", "_COMM": "exim4", "_UID": "100"}
BOUNCED = bounced(1).partition("]: ")[2].rstrip()
FAILED = "1xVKdA-0005NO-24 ** ann@example.org R=rem T=smtp: 550 5.1.1 no"


@pytest.mark.parametrize(
    ("changed", "is_believed"),
    [
        ({}, True),
        ({"_EXE": None}, True),
        ({"_EXE": None, "_COMM": None, "_UID": "0"}, True),
        ({"_EXE": None, "_COMM": None, "_UID": "1000"}, False),
        ({"_EXE": "/usr/bin/logger", "_COMM": "logger", "_UID": "0"}, False),
        ({"_EXE": None, "_COMM": "php-fpm8.2", "_UID": "33"}, False),
        ({"_EXE": "/home/eve/smtp", "_UID": "1000"}, False),
        ({"_EXE": "/srv/eve/exim4", "_COMM": "exim4"}, False),
        ({"_EXE": "/usr/sbin/rsyslogd", "_COMM": "rsyslogd"}, True),  # from another host
    ],
)
@pytest.mark.parametrize("server", ["postfix", "exim"])
def test_entry_is_believed_by_what_journald_knows_of_its_writer(read, server, changed, is_believed):
    (line,) = [one for one in SHORT.read_bytes().splitlines() if b"status=bounced" in one][:1]
    entry = json.loads(journal(line))
    if server == "exim":
        entry |= {"SYSLOG_IDENTIFIER": "exim4", "MESSAGE": FAILED}
    trusted = (POSTFIX if server == "postfix" else EXIM) | changed
    entry |= {name: value for name, value in trusted.items() if value is not None}

    found = read(json.dumps(entry))

    assert len(found) == is_believed


@pytest.mark.parametrize(("server", "is_believed"), [("postfix", False), ("exim", True)])
def test_program_that_had_ended_before_journald_looked(read, server, is_believed):
    """Exim's deliver and end; those of Postfix wait for more, a script that calls logger(1) not."""
    entry = json.loads(journal(SHORT.read_bytes().splitlines()[0]))
    tag, text = ("exim4", FAILED) if server == "exim" else ("postfix/smtp", BOUNCED)
    entry |= {"SYSLOG_IDENTIFIER": tag, "MESSAGE": text, "_UID": "101"}

    assert len(read(json.dumps(entry))) == is_believed


def test_journal_is_the_journal_also_where_a_file_says_so(tmp_path):
    config = tmp_path / "mtabounce.toml"
    config.write_text('[[log]]\npath = "journal"\n[[log]]\npath = "mail.log"\n')

    journal, other = load_settings(config).log

    assert (journal.is_journal, other.is_journal) == (True, False)
    assert journal.name.endswith(":journal")
