"""
A reader that is far behind, or was ended at once: what there is, is read in order, and once.

MTABOUNCE_BACKLOG says how large, in MB, each of its three files is; 3400 take some minutes.
"""

import asyncio
import gzip
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psycopg
import pytest

from mtabounce import classify
from mtabounce.pipeline.decide import Recorder
from mtabounce.pipeline.log_record import LogRecorder
from mtabounce.policy import PolicySettings
from mtabounce.sources import _pace
from mtabounce.sources._holding import held
from mtabounce.sources._log_run import BATCH
from mtabounce.sources.log_settings import LogSettings
from mtabounce.sources.tailer import Tailer
from mtabounce.store import logs as store
from mtabounce.store.connection import connect

from .lines import bounced

SIZE = int(os.environ.get("MTABOUNCE_BACKLOG", "20"))  # MB
MEMORY = 200  # MB that the process may use, whatever waits; 100 are the program itself
NOISE = b"Nov 23 03:12:17 mail postfix/smtpd[77]: connect from unknown[192.0.2.1]\n"


@pytest.fixture
def connecting(database_url):
    return partial(connect, database_url, application_name="mtabounce test")


@pytest.fixture
def tailer(tmp_path, connecting):
    def _tailer(**options):
        recorder = LogRecorder(classify.load(), Recorder(PolicySettings()), "mail.log", "mail")
        settings = LogSettings(path=tmp_path / "mail.log", host="mail", timezone="UTC", **options)
        return Tailer(settings, connecting, recorder)

    return _tailer


@pytest.fixture
def rows(database_url):
    def _rows():
        with psycopg.connect(database_url) as conn:
            return conn.execute(
                "SELECT final_recipient, original_message_id FROM mtabounce.observations"
                " ORDER BY final_recipient"
            ).fetchall()

    return _rows


def recipients(rows):
    return [name for name, _ in rows]


def said(number, text):
    return f"Nov 23 03:12:17 mail postfix/{text.format(f'{0x4A0000000 + number:X}')}\n"


def fill(path, size):
    block = NOISE * ((1 << 20) // len(NOISE))
    with path.open("ab") as file:
        for _ in range(size):
            file.write(block)


def peak_of(pid):
    """Return the most memory it had, in KiB; what wait4(2) says counts what forked it, too."""
    told = Path(f"/proc/{pid}/status").read_text()
    return next((int(line.split()[1]) for line in told.splitlines() if "VmHWM" in line), 0)


def test_backlog_is_read_whole_and_in_order_in_little_memory(tmp_path, database_url, rows):
    log = tmp_path / "mail.log"
    config = tmp_path / "mtabounce.toml"
    config.write_text(
        f'[database]\nurl = "{database_url}"\n[[log]]\npath = "{log}"\n'
        'host = "mail"\ntimezone = "UTC"\n'
    )
    command = [sys.executable, "-m", "mtabounce", "--config", str(config), "tail", "--until-idle"]
    log.write_text(bounced(0))
    subprocess.run(command, check=True)
    # The message of each failure is begun in the file before.
    for number in (1, 2, 3):
        with log.open("a") as file:
            file.write(said(number, f"cleanup[9]: {{}}: message-id=<{number}@s.test>"))
            file.write(
                said(number, "qmgr[7]: {}: from=<news@s.test>, size=1, nrcpt=1 (queue active)")
            )
        fill(log, SIZE)
        old = log.rename(tmp_path / f"mail.log.{4 - number}")
        hours_ago = time.time() - 3600 * (5 - number)
        os.utime(old, (hours_ago, hours_ago))
        log.write_text(bounced(number))

    peak = 0
    with subprocess.Popen(command) as process:
        while process.poll() is None:
            peak = max(peak, peak_of(process.pid))
            time.sleep(0.05)

    assert process.returncode == 0
    assert SIZE << 20 > BATCH
    assert rows() == [("u0@x.example", "")] + [
        (f"u{number}@x.example", f"{number}@s.test") for number in (1, 2, 3)
    ]
    assert 0 < peak < MEMORY * 1024


async def test_reader_that_is_far_behind_says_so(tailer, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(_pace, "FAR", 1 << 20)
    monkeypatch.setattr(_pace, "TELL", 0.0)
    fill(tmp_path / "mail.log", (BATCH >> 20) * 2 + 2)
    await tailer().run(until_idle=True)

    told = [record.message for record in caplog.records if "MB wait" in record.message]
    assert "minutes left" in told[0] or "minutes left" in told[1]
    assert "read up to its end, or nearly so" in caplog.text


async def test_file_that_was_begun_but_not_read_is_found_when_it_is_compressed(
    tailer, connecting, tmp_path, rows
):
    log = tmp_path / "mail.log"
    log.write_text("".join(map(bounced, range(5))))
    first = tailer()
    async with await connecting() as conn:
        # It is killed before its first batch is committed.
        await first._files.begin_new(conn, [], [held(log)])
    first._files.close()
    (tmp_path / "mail.log.2.gz").write_bytes(gzip.compress(log.read_bytes()))
    log.unlink()
    (tmp_path / "mail.log.1").write_text("".join(map(bounced, range(5, 8))))
    log.write_text(bounced(8))
    await tailer().run(until_idle=True)

    assert recipients(rows()) == sorted(f"u{number}@x.example" for number in range(9))


async def test_log_that_was_empty_when_it_was_begun_is_read_where_it_went(
    tailer, tmp_path, rows, caplog
):
    log = tmp_path / "mail.log"
    log.touch()
    await tailer().run(until_idle=True)
    (tmp_path / "mail.log.1.gz").write_bytes(
        gzip.compress("".join(map(bounced, range(5))).encode())
    )
    log.unlink()
    log.write_text(bounced(5))
    await tailer().run(until_idle=True)

    assert recipients(rows()) == sorted(f"u{number}@x.example" for number in range(6))
    assert "lost" not in caplog.text


async def test_what_is_being_compressed_is_not_read_twice(tailer, connecting, tmp_path, rows):
    log = tmp_path / "mail.log"
    log.write_text("".join(map(bounced, range(500))))
    await tailer().run(until_idle=True)
    old = log.rename(tmp_path / "mail.log.1")
    packed = gzip.compress(old.read_bytes())
    (tmp_path / "mail.log.1.gz").write_bytes(packed[: len(packed) // 2])
    log.write_text(bounced(500))
    await tailer().run(until_idle=True)
    (tmp_path / "mail.log.1.gz").write_bytes(packed)
    old.unlink()
    await tailer().run(until_idle=True)

    assert len(rows()) == 501
    async with await connecting() as conn:
        files = await store.log_files(conn)
    assert sum(one.lines for one in files) == 501


async def test_damaged_file_keeps_no_other_from_being_read(tailer, tmp_path, rows, caplog):
    log = tmp_path / "mail.log"
    log.write_text(bounced(0))
    await tailer().run(until_idle=True)
    whole = gzip.compress("".join(map(bounced, range(1, 3000))).encode())
    (tmp_path / "mail.log.2.gz").write_bytes(whole[: len(whole) // 2])
    log.rename(tmp_path / "mail.log.3")
    (tmp_path / "mail.log.1").write_text(bounced(3000))
    log.write_text(bounced(3001))
    await asyncio.wait_for(tailer().run(until_idle=True), 60)

    found = recipients(rows())
    assert {"u0@x.example", "u1@x.example", "u3000@x.example", "u3001@x.example"} <= set(found)
    assert 500 < len(found) < 3000
    assert "mail.log.2.gz: what follows its last line is lost" in caplog.text


async def test_late_line_of_an_old_file_hides_no_newer_one(tailer, connecting, tmp_path, rows):
    log, hour = tmp_path / "mail.log", 3600
    log.write_text(bounced(0))
    await tailer().run(until_idle=True)
    async with await connecting() as conn:  # it was away for an hour
        await conn.execute("UPDATE mtabounce.log_files SET updated_at = now() - interval '1 hour'")
    log.rename(tmp_path / "mail.log.2")
    middle = tmp_path / "mail.log.1"
    middle.write_text(bounced(1))
    os.utime(middle, (time.time() - hour / 2, time.time() - hour / 2))
    log.write_text(bounced(2))
    with (tmp_path / "mail.log.2").open("a") as file:  # by a writer that kept it open
        file.write(bounced(3))
    await tailer().run(until_idle=True)

    assert recipients(rows()) == sorted(f"u{number}@x.example" for number in range(4))
