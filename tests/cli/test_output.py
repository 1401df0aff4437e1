"""A command that cannot print: its reader has enough, the disk is full, letters are missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPLIES = b"550 5.1.1 no such user \xe2\x82\xac\n" * 3000  # says more than a pipe holds


def call(*args, stdout, **environment):
    return subprocess.run(
        [sys.executable, "-m", "mtabounce", *args],
        input=REPLIES,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=os.environ | environment,
    )


@pytest.mark.parametrize(
    "args",
    [
        ("classify", "--replies-from", "-"),
        ("classify", "--json", "--replies-from", "-"),
        ("rules", "list"),  # a table
    ],
)
def test_reader_that_has_enough_ends_the_command_as_any_other(args):
    reading, writing = os.pipe()
    os.close(reading)

    ended = call(*args, stdout=writing)

    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, b"")


def test_full_disk_is_said_in_a_line():
    with Path("/dev/full").open("w") as full:
        ended = call("classify", "--json", "--replies-from", "-", stdout=full)

    said = b"mtabounce: not all is done: No space left on device\n"
    assert (ended.returncode, ended.stderr) == (os.EX_IOERR, said)


def test_letters_that_a_terminal_has_not_are_escaped(tmp_path):
    mail = tmp_path / "a\udcff.eml"
    mail.write_bytes(
        b"From: MAILER-DAEMON@x.de\nSubject: Undelivered\n\n"
        b"<a@b.de>: 550 5.1.1 no \xe2\x82\xac such user\n"
    )

    ended = call("classify", str(mail), stdout=subprocess.PIPE, PYTHONIOENCODING="latin-1")

    assert (ended.returncode, ended.stderr) == (0, b"")
    assert rb"a\udcff.eml: bounce" in ended.stdout
    assert rb"no \u20ac such user" in ended.stdout
