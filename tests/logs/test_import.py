"""``mtabounce import``: archives become rows once, also where the tailer was there before."""

import gzip
import lzma
import mailbox
import os
import signal
import subprocess
import sys
import tarfile

import psycopg
import pytest
from click.testing import CliRunner

from mtabounce.cli import mtabounce
from mtabounce.errors import StoreUnavailable

from .lines import LOGS, bounced

SHORT = LOGS / "postfix" / "3.7-short-ids.log"
LONG = LOGS / "postfix" / "3.7-long-ids.log"
EXIM = LOGS / "exim" / "4.96-default.log"


@pytest.fixture
def state(query):
    """All that must be the same however often, and in how many pieces, the logs were read."""
    return lambda: (
        query("SELECT count(*), count(DISTINCT key) FROM mtabounce.observations"),
        query("SELECT sum(sent), sum(deferred), sum(bounced) FROM mtabounce.delivery_stats"),
        query("SELECT count(*), sum(observations) FROM mtabounce.bounces"),
        query("SELECT count(*) FROM mtabounce.pending_deliveries"),
    )


def rotated(folder, path, parts, compress=lambda data: data, suffix=""):
    lines = path.read_bytes().splitlines(keepends=True)
    size = len(lines) // parts + 1
    names = []
    for number in range(parts):
        content = b"".join(lines[number * size : (number + 1) * size])
        name = folder / f"mail.log.{parts - number}{suffix}"
        name.write_bytes(compress(content))
        os.utime(name, (1_795_400_000 + number, 1_795_400_000 + number))
        names.append(name)
    return names


def test_archive_is_read_once(run, state, tmp_path):
    names = rotated(tmp_path, SHORT, 4)

    first = run("import", "logs", "--host", "mail", "--timezone", "UTC", *reversed(names))
    before = state()
    second = run("import", "logs", "--host", "mail", "--timezone", "UTC", tmp_path)

    assert "1118 lines read" in first
    assert before[0] == [(65, 65)]  # and three of bounces, which count against nobody
    assert state() == before
    assert "read before" in second


def test_copies_have_other_times_and_are_read_in_order(run, query, tmp_path):
    for number, name in enumerate(reversed(rotated(tmp_path, SHORT, 4))):
        os.utime(name, (1_795_500_000 + number, 1_795_500_000 + number))

    run("import", "logs", "--host", "mail", "--timezone", "UTC", tmp_path)

    # One mail, to four, had none.
    assert query("SELECT count(*) FROM mtabounce.bounces WHERE original_message_id = ''") == [(4,)]


def test_nobody_waits_for_what_a_pipe_may_bring(config, path):
    os.mkfifo(path)

    for command in ("tail", "--until-idle"), ("import", "logs", path):
        args = [sys.executable, "-m", "mtabounce", "--config", config, *command]
        told = subprocess.run(args, capture_output=True, text=True, timeout=120)
        assert "it is no regular file" in told.stdout + told.stderr


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress])
def test_compressed_archive_is_the_same_archive(run, state, tmp_path, compress):
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    plain.mkdir()
    packed.mkdir()
    rotated(plain, EXIM, 3)
    rotated(packed, EXIM, 3, compress, ".gz")

    run("import", "logs", "--host", "mail", "--timezone", "UTC", plain)
    before = state()
    run("import", "logs", "--host", "mail", "--timezone", "UTC", packed)

    assert state() == before


def test_what_the_tailer_read_is_not_read_again(run, state, tmp_path):
    log = tmp_path / "mail.log"
    content = SHORT.read_bytes()
    log.write_bytes(content[:80_000])
    run("tail", "--until-idle")
    log.write_bytes(content)
    log.rename(tmp_path / "mail.log.1")
    log.write_bytes(b"")
    run("tail", "--until-idle")
    before = state()

    output = run("import", "logs", "--host", "mail", tmp_path / "mail.log.1")

    assert before[0] == [(65, 65)]  # and three of bounces, which count against nobody
    assert state() == before
    assert "left out" in output


def test_archive_of_files_is_not_taken_for_a_log(config, state, tmp_path):
    path = tmp_path / "logs.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(SHORT)

    result = CliRunner().invoke(mtabounce, ["--config", str(config), "import", "logs", str(path)])

    assert result.exit_code == os.EX_DATAERR
    assert "unpack it, and import those" in result.output
    assert state()[1] == [(None, None, None)]


def test_time_zone_that_there_is_not_is_said(config, tmp_path):
    command = ["import", "logs", "--timezone", "Europe/Berln", str(SHORT)]

    result = CliRunner().invoke(mtabounce, ["--config", str(config), *command])

    assert result.exit_code == 2
    assert 'there is no time zone "Europe/Berln"' in result.output


def test_import_of_an_older_part_leaves_who_waits_as_the_newer_one_said(run, query, tmp_path):
    line = bounced(1).replace("dsn=5.1.1, status=bounced", "dsn=4.2.2, status=deferred")
    older = line.replace("Nov 23 03:12:17", "Nov 22 03:12:17").replace("550 5.1.1 no", "452 old")
    for name, text in (("new.log", line), ("old.log", older)):
        (tmp_path / name).write_text(text)
        run("import", "logs", "--host", "mail", "--timezone", "UTC", tmp_path / name)

    ((said, at),) = query(
        "SELECT diagnostic_code, occurred_at::date::text FROM mtabounce.pending_deliveries"
    )
    assert (said, at[5:]) == ("550 5.1.1 no", "11-23")


def test_import_that_was_killed_goes_on(config, run, state, tmp_path):
    archive = tmp_path / "archive"
    archive.mkdir()
    lines = SHORT.read_bytes() * 60  # queue ids come again, and so do the very same failures
    (archive / "mail.log.1").write_bytes(lines)
    command = [sys.executable, "-m", "mtabounce", "--config", str(config), "import", "logs"]
    command += ["--host", "mail", "--timezone", "UTC", str(archive)]

    for seconds in (1.2, 1.6, 2.0):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
    run(*command[5:])

    ((sent, deferred, bounced),) = state()[1]
    run("import", "logs", "--host", "mail", "--timezone", "UTC", archive)
    assert (sent % 60, deferred % 60, bounced % 60) == (0, 0, 0)
    assert state()[1] == [(sent, deferred, bounced)]


def test_import_waits_for_locks_as_it_is_told_and_says_in_a_line_what_it_met(
    config, database_url, tmp_path
):
    (log,) = rotated(tmp_path, SHORT, 1)
    config.write_text(config.read_text().replace("[[log]]", 'lock_timeout = "50ms"\n[[log]]'))

    with psycopg.connect(database_url) as other:
        other.execute("LOCK TABLE mtabounce.log_files")
        result = CliRunner().invoke(
            mtabounce, ["--config", str(config), "import", "logs", str(log)]
        )

    assert isinstance(result.exception, StoreUnavailable)
    assert "lock timeout" in str(result.exception)


def test_damaged_archive_is_read_as_far_as_it_can_be(config, state, tmp_path):
    packed = gzip.compress(SHORT.read_bytes())
    (tmp_path / "a.gz").write_bytes(packed[: len(packed) // 2])
    spoilt = bytearray(gzip.compress(LONG.read_bytes()))
    spoilt[len(spoilt) // 2] ^= 255
    (tmp_path / "b.gz").write_bytes(spoilt)
    (tmp_path / "c.gz").write_bytes(gzip.compress(EXIM.read_bytes()))
    paths = [str(tmp_path / f"{name}.gz") for name in "abc"]

    command = ["--config", str(config), "import", "logs", *paths]
    first = CliRunner().invoke(mtabounce, command)
    before = state()
    second = CliRunner().invoke(mtabounce, command)

    assert (first.exit_code, second.exit_code) == (65, 65)
    assert first.output.count("is damaged, what follows line") == 2
    assert "c.gz:" not in first.output
    assert before[0][0][0] > 60
    assert state() == before


@pytest.mark.parametrize("name", ["cut", "spoilt"])
def test_readable_part_of_a_damaged_log_is_parsed(config, tmp_path, name):
    packed = bytearray(gzip.compress(SHORT.read_bytes()))
    half = len(packed) // 2
    path = tmp_path / "mail.log.1.gz"
    if name == "cut":
        path.write_bytes(packed[:half])
    else:
        packed[half] ^= 255
        path.write_bytes(packed)

    result = CliRunner().invoke(mtabounce, ["logs", "parse", "--json", str(path)])

    assert result.exit_code == 66
    assert f"{path}: it is damaged" in result.output
    assert result.stdout.count('"status": "5.') > 5


def test_file_that_is_no_log_is_left_out_and_not_remembered(config, query, tmp_path):
    log, other, empty = (tmp_path / name for name in ("mail.log.1", "other", "empty"))
    log.write_bytes(SHORT.read_bytes())
    other.write_text("This is a letter\n" * 50)
    empty.touch()
    command = ["--config", str(config), "import", "logs"]

    folder = CliRunner().invoke(mtabounce, [*command, str(tmp_path)])
    alone = CliRunner().invoke(mtabounce, [*command, str(other)])

    assert (folder.exit_code, alone.exit_code) == (0, 65)
    assert "other: left out: no line was understood" in alone.output
    assert "empty: left out: it is empty" in folder.output
    assert len(query("SELECT id FROM mtabounce.log_files")) == 1


def test_mails_of_an_mbox_are_rows(run, query, tmp_path):
    box = mailbox.mbox(tmp_path / "box")
    for number in range(3):
        message = mailbox.mboxMessage(
            "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n"
            "--b\nContent-Type: message/delivery-status\n\n"
            "Reporting-MTA: dns; mx.example.org\n\n"
            f"Final-Recipient: rfc822; u{number}@x.example\nAction: failed\nStatus: 5.1.1\n\n"
            "--b--\n"
        )
        box.add(message)
    box.close()

    run("import", "mail", "--drain", tmp_path / "box")
    run("import", "mail", "--drain", tmp_path / "box")

    assert query("SELECT count(*) FROM mtabounce.bounces") == [(3,)]
