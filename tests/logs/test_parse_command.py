"""``mtabounce logs parse``, as a user runs it."""

import bz2
import gzip
import json
import lzma
import random

import pytest
import zstandard
from click.testing import CliRunner

from mtabounce.cli import mtabounce

from .lines import LOGS, bounced

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


def frames(content):
    """Several frames of all kinds of blocks, with and without a checksum, and one to be skipped."""
    middle = len(content) // 2
    checked = zstandard.ZstdCompressor(write_checksum=True, write_content_size=False)
    skipped = b"\x53\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"other"
    noise = random.Random(1).randbytes(1000).replace(b"\n", b"") + b"\n"  # noqa: S311
    parts = [content[:middle], b"\0" * 300_000 + noise, content[middle:]]
    first, second, third = map(checked.compress, parts)
    return [first, skipped, second, zstandard.compress(b"\n"), third]


def test_zstandard_file_of_many_frames_is_whole(tmp_path):
    path = tmp_path / "mail.log.2.zst"
    path.write_bytes(b"".join(frames(LOG.read_bytes())))

    assert parse("--json", path).stdout == parse("--json", LOG).stdout


@pytest.mark.parametrize(
    ("compress", "at"),
    [
        (gzip.compress, 0.5),
        (gzip.compress, 0.999),
        (lzma.compress, 0.5),
        (lzma.compress, 0.999),
        (bz2.compress, 0.999),
        (zstandard.compress, 0.5),
        (zstandard.compress, 0.9999),
        (lambda content: b"".join(frames(content)), 0.3),
        (lambda content: b"".join(frames(content)), 0.9999),
        (lambda content: frames(content)[0] + frames(content)[1], 0.9995),
    ],
)
def test_compressed_log_that_is_cut_says_so(tmp_path, compress, at):
    path = tmp_path / "mail.log.2"
    packed = compress(LOG.read_bytes())
    path.write_bytes(packed[: int(len(packed) * at)])

    result = parse("--json", path)

    assert result.exit_code == 66
    assert f"{path}: it is damaged" in result.stderr
    if compress is gzip.compress or compress is lzma.compress:  # others keep it in one large block
        assert len(result.stdout.splitlines()) > 5


def test_rotated_logs_are_one_log(tmp_path):
    content = LOG.read_bytes()
    old, new = tmp_path / "old", tmp_path / "new"
    middle = content.index(b"\n", 60_000) + 1
    old.write_bytes(content[:middle])
    new.write_bytes(content[middle:])

    assert parse("--json", old, new).stdout == parse("--json", LOG).stdout


def test_without_json_deliveries_are_told_in_words():
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
