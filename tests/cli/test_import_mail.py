"""import mail: each mail once, however often it is run, and what cannot be read is told of."""

import bz2
import gzip
import lzma
import mailbox
import os
import signal
import subprocess
import sys
import time

import psycopg
import pytest
import zstandard
from click.testing import CliRunner

from mtabounce.cli import _mails, mtabounce


def mail(number):
    return f"From: a@example.org\nSubject: {number}\n\nHello {number}\n".encode()


def bounce(number):
    return (
        "From: mailer-daemon@mx.example.org\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n"
        "--b\nContent-Type: message/delivery-status\n\n"
        "Reporting-MTA: dns; mx.example.org\n\n"
        f"Final-Recipient: rfc822; u{number}@x.example\nAction: failed\nStatus: 5.1.1\n\n"
        "--b--\n"
    ).encode()


@pytest.fixture
def config(tmp_path_factory, database_url):
    written = tmp_path_factory.mktemp("config") / "mtabounce.toml"
    written.write_text(f'[database]\nurl = "{database_url}"\n')
    return written


@pytest.fixture
def run(config):
    def _run(*args):
        return CliRunner().invoke(
            mtabounce, ["--config", str(config), "import", "mail", *map(str, args)]
        )

    return _run


@pytest.fixture
def query(database_url):
    def _query(text):
        with psycopg.connect(database_url) as conn:
            return conn.execute(text).fetchall()

    return _query


@pytest.fixture
def subjects(query):
    def _subjects():
        rows = query("SELECT content FROM mtabounce.inputs")
        return sorted(content.split(b"Subject: ")[1][:1].decode() for (content,) in rows)

    return _subjects


def written(path, numbers, made=mail):
    box = mailbox.mbox(path)
    for number in numbers:
        box.add(made(number))
    box.close()
    return path


@pytest.mark.parametrize("chunk", [1 << 20, 7])
def test_mbox_that_grew_is_imported_again_from_where_it_was(
    run, subjects, tmp_path, monkeypatch, chunk
):
    monkeypatch.setattr(_mails, "CHUNK", chunk)
    box = written(tmp_path / "box", range(3))
    first = run(box)
    second = run(written(box, range(3, 5)))

    assert (first.exit_code, second.exit_code) == (0, 0), (first.output, second.output)
    assert "3 mails are in the inbox, 0 were there before" in first.output
    assert "2 mails are in the inbox, 3 were there before" in second.output
    assert subjects() == ["0", "1", "2", "3", "4"]


def test_what_cannot_be_read_is_told_of_and_the_rest_is_taken(run, subjects, tmp_path):
    folder, box = tmp_path / "folder", written(tmp_path / "box", range(2))
    folder.mkdir()

    result = run(folder, box)

    assert result.exit_code == 65
    assert f"{folder}: there is no mail in this folder" in result.output.replace("\n", "")
    assert subjects() == ["0", "1"]


def test_empty_file_is_nothing(run, subjects, tmp_path):
    empty = tmp_path / "empty"
    empty.touch()

    assert run(empty).exit_code == 0
    assert subjects() == []


@pytest.mark.parametrize(
    "compress",
    [gzip.compress, lzma.compress, bz2.compress, zstandard.ZstdCompressor().compress],
    ids=["gz", "xz", "bz2", "zst"],
)
def test_compressed_mbox_is_the_same_mbox(run, subjects, tmp_path, compress):
    box = written(tmp_path / "box", range(3))
    packed = tmp_path / "packed"
    packed.write_bytes(compress(box.read_bytes()))

    first, second = run(packed), run(box)

    assert "3 mails are in the inbox, 0 were there before" in first.output
    assert "0 mails are in the inbox, 3 were there before" in second.output
    assert subjects() == ["0", "1", "2"]


def test_mbox_that_is_cut_is_read_up_to_the_mail_that_is(run, subjects, tmp_path):
    made = os.urandom(200_000).hex()  # does not shrink, so that the cut is within the third mail
    text = written(tmp_path / "box", range(3)).read_bytes() + made.encode() + b"\n"
    (tmp_path / "cut.gz").write_bytes(gzip.compress(text)[:-50_000])

    result = run(tmp_path / "cut.gz")

    assert result.exit_code == 65
    assert "cut.gz#3: it is damaged" in result.output.replace("\n", "")
    assert subjects() == ["0", "1"]


def test_folder_may_hold_maildirs_mboxes_mails_and_what_is_none(run, subjects, tmp_path):
    top = tmp_path / "archive"
    top.mkdir()
    maildir = mailbox.Maildir(top / "Maildir")
    maildir.add(mail(0))
    maildir.add_folder("Old").add(mail(1))
    (top / "Maildir" / "tmp" / "written.now").write_bytes(mail(9))
    (top / "2025").mkdir()
    written(top / "2025" / "box", range(2, 4))
    (top / "2025" / "one.eml").write_bytes(mail(4))
    (top / "2025" / "mails.gz").write_bytes(gzip.compress(mail(5)))
    (top / "2025" / "uidlist").write_bytes(b"3 V1795400000 N6\n1 :a\n")
    (top / "2025" / "again").symlink_to(top)

    first, second = run(top), run(top)

    assert (first.exit_code, second.exit_code) == (0, 0), first.output
    assert "6 mails are in the inbox, 0 were there before" in first.output
    assert "0 mails are in the inbox, 6 were there before" in second.output
    assert subjects() == ["0", "1", "2", "3", "4", "5"]


def test_mail_that_is_too_large_is_left_out_and_those_around_it_are_not(
    run, subjects, tmp_path, monkeypatch
):
    monkeypatch.setattr(_mails, "LARGEST", 300_000)
    box = mailbox.mbox(tmp_path / "box")
    for one in (mail(0), mail(1) + b"text\n" * 500_000, mail(2)):
        box.add(one)
    box.close()

    result = run(tmp_path / "box")

    assert result.exit_code == 65
    assert "box#2: it is larger than" in result.output.replace("\n", "")
    assert subjects() == ["0", "2"]


def test_import_says_how_many_of_them_are_bounces(run, tmp_path, query):
    box = written(tmp_path / "box", range(3), bounce)
    written(box, range(2))

    result = run("--drain", box)

    assert "5 were read, 3 of them are bounces" in result.output
    assert query("SELECT count(*) FROM mtabounce.bounces") == [(3,)]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_import_that_was_stopped_goes_on_and_takes_none_twice(config, run, query, tmp_path, number):
    def count():
        return query("SELECT count(*) FROM mtabounce.inputs")[0][0]

    box = written(tmp_path / "box", range(3000), bounce)
    command = [sys.executable, "-m", "mtabounce", "--config", str(config), "import", "mail"]
    taken = 0
    for _ in range(3):
        process = subprocess.Popen([*command, str(box)], stdout=-1, stderr=-1)
        while process.poll() is None and count() == taken:
            time.sleep(0.005)
        process.send_signal(number)
        process.communicate()
        assert count() > taken or taken == 3000
        taken = count()

    last = run(box)

    assert last.exit_code == 0, last.output
    assert query("SELECT count(*), count(DISTINCT content) FROM mtabounce.inputs") == [(3000, 3000)]
