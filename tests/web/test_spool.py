"""What is on disk survives everything that disks and processes do."""

import asyncio
import errno
import os
import resource
import signal
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from mtabounce.errors import StoreUnavailable, TryAgainLater
from mtabounce.model import RawInput
from mtabounce.web.spool import Spool, damaged

# As with a full disk, a part is written and then no more.
LIMITED = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
"""
WRITER = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from mtabounce.model import RawInput
from mtabounce.web.spool import Spool
async def main():
    spool = Spool(Path(sys.argv[1]), None)
    for number in range(100_000):
        raw = RawInput(source="webhook:x", content=b"%d " % number + b"x" * 2000,
                       received_at=datetime.now(UTC), peer="192.0.2.1", trusted=True)
        await spool.keep(raw)
        print(number, flush=True)
asyncio.run(main())
"""


def raw(number=0):
    return RawInput(
        source="webhook:sendgrid",
        content=b"\r\n[%d]\n\xff" % number,
        received_at=datetime.now(UTC),
        peer="192.0.2.1",
        trusted=True,
    )


class Taken(list):
    def __init__(self, most=10**9):
        super().__init__()
        self.most = most

    async def __call__(self, one):
        if len(self) >= self.most:
            raise StoreUnavailable("away")
        self.append(one)


async def kept(folder, count):
    spool = Spool(folder, None)
    for number in range(count):
        await spool.keep(raw(number))
    return sorted(folder.glob("*.input"))


async def test_file_cut_at_any_byte_is_set_aside_and_the_others_are_handed_on(tmp_path):
    (path, _) = await kept(tmp_path, 2)
    whole, taken = path.read_bytes(), Taken()
    spool = Spool(tmp_path, taken)

    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        await spool.drain()

    assert [one.content for one in taken] == [raw(1).content]
    assert damaged(tmp_path) == 1
    path.write_bytes(whole)
    await spool.drain()
    assert taken[-1].content == raw(0).content


async def test_lack_of_files_is_one_line_and_it_goes_on(tmp_path, caplog):
    await kept(tmp_path, 1)
    taken = Taken()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    running = asyncio.create_task(Spool(tmp_path, taken, pause=0.01).run())
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        async with asyncio.timeout(30):
            while not caplog.records:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        async with asyncio.timeout(30):
            while not taken:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        running.cancel()

    assert all(one.exc_info is None for one in caplog.records)
    assert "Too many open files" in caplog.records[0].getMessage()


async def test_flipped_bit_anywhere_is_noticed(tmp_path):
    (path,) = await kept(tmp_path, 1)
    whole, taken = path.read_bytes(), Taken()
    spool = Spool(tmp_path, taken)

    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(bytes(flipped))
        await spool.drain()

    assert taken == []
    assert damaged(tmp_path) == 1


def test_whatever_was_said_to_be_kept_is_there_after_kill_9(tmp_path):
    for _ in range(3):
        command = [sys.executable, "-c", WRITER, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            told = [int(writer.stdout.readline()) for _ in range(40)]
            os.kill(writer.pid, signal.SIGKILL)
            told += [int(line) for line in writer.stdout.read().split("\n")[:-1]]
        taken = Taken()

        asyncio.run(Spool(tmp_path, taken).drain())

        found = [int(one.content.split()[0]) for one in taken]
        assert found[: len(told)] == told
        assert len(found) - len(told) <= 1  # kept, and killed before it could say so
        assert damaged(tmp_path) == 0


async def test_database_that_goes_away_in_between_leaves_the_rest_in_order(tmp_path):
    await kept(tmp_path, 250)
    first, then = Taken(130), Taken()

    await Spool(tmp_path, first).drain()
    await Spool(tmp_path, then).drain()

    found = [one.content for one in [*first, *then]]
    assert found == [raw(number).content for number in range(250)]
    assert list(tmp_path.iterdir()) == []


def test_write_that_the_system_cuts_short_is_no_promise_and_leaves_nothing(tmp_path):
    command = [sys.executable, "-c", LIMITED + WRITER, str(tmp_path)]

    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    assert done.stdout == ""
    assert "TryAgainLater: the spool cannot be written: File too large" in done.stderr
    assert list(tmp_path.iterdir()) == []


async def test_disk_that_fails_is_not_trusted_again(tmp_path, monkeypatch, caplog):
    def fail(handle):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    spool = Spool(tmp_path, None)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(TryAgainLater):
        await spool.keep(raw())
    monkeypatch.undo()

    with pytest.raises(TryAgainLater, match="not used again before a restart"):
        await spool.keep(raw())

    assert list(tmp_path.iterdir()) == []
    assert "look at the disk" in caplog.text
    await Spool(tmp_path, None).keep(raw())


async def test_draft_of_a_killed_process_is_removed_later(tmp_path):
    old, new = tmp_path / "1.draft", tmp_path / "2.draft"
    for path in (old, new):
        path.write_bytes(b"{")
    os.utime(old, (1, 1))

    await Spool(tmp_path, None).drain()

    assert list(tmp_path.iterdir()) == [new]


async def test_file_that_cannot_be_read_waits_and_holds_up_no_other(tmp_path, caplog):
    paths = await kept(tmp_path, 4)
    paths[0].unlink()
    paths[0].mkdir()  # reading it fails, for root, too
    taken = Taken()
    running = asyncio.create_task(Spool(tmp_path, taken, pause=0.01).run())

    await asyncio.sleep(0.3)

    assert len(taken) == 3
    assert not running.done()
    running.cancel()
    assert caplog.text.count("Is a directory") == 1
    assert list(tmp_path.iterdir()) == [paths[0]]


async def test_what_the_inbox_cannot_take_for_once_holds_up_no_other(tmp_path, caplog):
    await kept(tmp_path, 3)
    taken, poison = [], b"[0]"

    async def accept(one):
        if poison in one.content:
            raise KeyError("poison")
        taken.append(one)

    running = asyncio.create_task(Spool(tmp_path, accept, pause=0.01).run())
    await asyncio.sleep(0.2)

    assert not running.done()
    running.cancel()
    assert len(taken) == 2  # once each, however often it is looked
    assert len(list(tmp_path.iterdir())) == 1
    assert "poison" in caplog.text


async def test_files_are_for_us_alone(tmp_path):
    (path,) = await kept(tmp_path / "new", 1)

    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
