"""``mtabounce logs parse``, as a user runs it."""

import gzip
import json
import lzma

import pytest
import zstandard
from click.testing import CliRunner

from mtabounce.cli import mtabounce

from .conftest import LOGS, bounced

LOG = LOGS / "postfix" / "3.7-short-ids.log"
FIELDS = {
    "host", "instance", "queue_id", "final_recipient", "original_recipient", "reverse_path",
    "original_message_id", "action", "status", "reply_code", "diagnostic_code", "remote_mta",
    "occurred_at", "type", "reason", "fault", "rule",
}  # fmt: skip


def parse(*args, stdin=None):
    return CliRunner().invoke(mtabounce, ["logs", "parse", *map(str, args)], input=stdin)


def objects(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_each_delivery_that_failed_is_a_line_of_json():
    found = objects(parse("--json", LOG))

    assert len(found) == 177
    assert all(set(one) == FIELDS for one in found)


def test_delivery_that_was_put_off_has_a_reason_and_no_type():
    (found, *_) = [
        one for one in objects(parse("--json", LOG)) if one["final_recipient"] == "full@remote.test"
    ]

    assert (found["action"], found["type"], found["reason"]) == ("delayed", None, "mailbox_full")


@pytest.mark.parametrize(
    "compress", [gzip.compress, lzma.compress, zstandard.ZstdCompressor().compress]
)
def test_compressed_log_reads_like_a_plain_one(tmp_path, compress):
    path = tmp_path / "mail.log.2"
    path.write_bytes(compress(LOG.read_bytes()))

    assert parse("--json", path).stdout == parse("--json", LOG).stdout


def test_rotated_logs_are_one_log(tmp_path):
    content = LOG.read_bytes()
    old, new = tmp_path / "old", tmp_path / "new"
    middle = content.index(b"\n", 60_000) + 1
    old.write_bytes(content[:middle])
    new.write_bytes(content[middle:])

    assert parse("--json", old, new).stdout == parse("--json", LOG).stdout


def test_people_get_words():
    result = parse(LOG)

    assert "nouser@remote.test: hard (user_unknown)" in result.stdout
    assert "1118 lines" in result.stderr


def test_log_of_which_nothing_is_understood_is_an_error(tmp_path):
    path = tmp_path / "access.log"
    path.write_text('127.0.0.1 - - "GET / HTTP/1.1" 200\n' * 10)

    result = parse(path)

    assert result.exit_code == 65
    assert "No line was understood" in result.stderr


def test_log_of_which_no_delivery_is_understood_is_an_error(tmp_path):
    path = tmp_path / "mail.log"
    path.write_text(bounced(1).replace("delay=1, delays=0/0/0/1, ", "") + bounced(2)[:80] + "\n")

    result = parse(path)

    assert result.exit_code == 65
    assert "2 deliveries could not be read" in result.stderr


def test_missing_and_damaged_files_are_named(tmp_path):
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(LOG.read_bytes())[:5000])

    result = parse(tmp_path / "nowhere", cut)

    assert result.exit_code == 66
    assert f"{tmp_path}/nowhere: No such file" in result.stderr
    assert str(cut) in result.stderr


def test_standard_input_is_read():
    assert objects(parse("--json", "-", stdin=LOG.read_bytes()))
