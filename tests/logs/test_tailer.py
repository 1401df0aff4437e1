"""The tailer: each failed delivery is a row once, whatever happens to files, processes and time."""

import asyncio
import gzip
import lzma
import os
import shutil
import threading
from contextlib import asynccontextmanager
from functools import partial

import psycopg
import pytest
import zstandard

from mtabounce import classify
from mtabounce.pipeline.decide import Recorder
from mtabounce.pipeline.log_record import LogRecorder
from mtabounce.policy import PolicySettings
from mtabounce.sources import _files as files_module
from mtabounce.sources.log_settings import LogSettings
from mtabounce.sources.logfile import open_log
from mtabounce.sources.rotation import find, missed
from mtabounce.sources.tailer import Tailer
from mtabounce.store.connection import connect

from .waiting import async_until as until

SECOND = "Nov 23 03:12:17"
AB = ("amy", "bob")


@pytest.fixture(scope="session")
def classifier():
    return classify.load()


@pytest.fixture
def connecting(database_url):
    return partial(connect, database_url, application_name="mtabounce test")


@pytest.fixture
def rows(database_url):
    """The recipients that failed, one a row, sorted."""

    def _rows():
        with psycopg.connect(database_url) as conn:
            found = conn.execute("SELECT final_recipient FROM mtabounce.observations").fetchall()
            return sorted(name for (name,) in found)

    return _rows


@pytest.fixture
def log(tmp_path):
    return Log(tmp_path / "mail.log")


class Log:
    """A log that a mail server writes to."""

    def __init__(self, path):
        self.path = path
        self.count = 0

    def line(self, number):
        queue_id = f"{0x4A0000000 + number:X}"
        return (
            f"{SECOND} mail postfix/smtp[77]: {queue_id}: to=<u{number}@x.example>,"
            " relay=mx[1.2.3.4]:25, delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced"
            " (host mx[1.2.3.4] said: 550 5.1.1 no (in reply to RCPT TO command))\n"
        ).encode()

    def lines(self, count):
        start, self.count = self.count, self.count + count
        return b"".join(self.line(number) for number in range(start, self.count))

    def write(self, count, path=None):
        with (path or self.path).open("ab") as file:
            file.write(self.lines(count))

    def rotate(self, to):
        other = self.path.with_name(to)
        self.path.rename(other)
        return other

    @property
    def truth(self):
        return sorted(f"u{number}@x.example" for number in range(self.count))


@pytest.fixture
def tailer(connecting, classifier, log):
    def _tailer(**options):
        settings = LogSettings(path=log.path, host="mail", timezone="UTC", **options)
        recorder = LogRecorder(classifier, Recorder(PolicySettings()), str(log.path), "mail")
        return Tailer(settings, connecting, recorder, linger=0.5)

    return _tailer


@pytest.fixture
def running(tailer):
    @asynccontextmanager
    async def _running(**options):
        one = tailer(**options)
        task = asyncio.create_task(one.run())
        try:
            yield one
        finally:
            one.stop()
            await asyncio.wait_for(task, 10)

    return _running


@pytest.fixture
def catch_up(tailer):
    async def _catch_up(**options):
        await asyncio.wait_for(tailer(**options).run(until_idle=True), 30)

    return _catch_up


async def settled(rows, log):
    await until(lambda: len(rows()) >= log.count)
    await asyncio.sleep(0.3)
    assert rows() == log.truth


async def test_log_is_read_from_its_beginning_and_on(running, rows, log):
    log.write(5)
    async with running():
        await until(lambda: len(rows()) == 5)
        log.write(5)
        await settled(rows, log)


async def test_log_that_is_new_may_be_read_from_its_end(running, rows, log):
    log.write(5)
    async with running(start="end"):
        await asyncio.sleep(0.5)
        log.write(1)
        await until(rows)
        assert rows() == ["u5@x.example"]


async def test_reader_that_was_away_goes_on_where_it_was(catch_up, rows, log):
    log.write(5)
    await catch_up()
    log.write(5)
    await catch_up()
    await catch_up()

    assert rows() == log.truth


async def test_renamed_log_is_read_to_its_end(running, rows, log):
    log.write(5)
    async with running():
        await until(lambda: len(rows()) == 5)
        old = log.rotate("mail.log.1")
        log.write(5)
        log.write(5, old)  # the writer has not noticed yet
        await settled(rows, log)


async def test_log_in_which_nothing_happened_for_long_may_have_a_late_line(running, rows, log):
    log.write(3)
    async with running():
        await until(lambda: len(rows()) == 3)
        await asyncio.sleep(1)  # longer than it lingers
        with log.path.open("ab") as file:  # the writer has not noticed yet
            log.rotate("mail.log.1")
            log.write(1)
            await until(lambda: len(rows()) == 4)
            await asyncio.sleep(0.2)
            file.write(log.lines(1))
        await settled(rows, log)


async def test_two_rotations_between_two_looks(running, rows, log):
    log.write(3)
    async with running():
        await until(lambda: len(rows()) == 3)
        log.write(3)
        log.rotate("mail.log.2")
        log.write(3)
        log.rotate("mail.log.1")
        log.write(3)
        await settled(rows, log)


async def test_log_that_is_rotated_while_one_looks_for_rotated_ones(
    running, rows, log, monkeypatch
):
    def _missed(*args):
        found = missed(*args)
        if not log.path.with_name("mail.log.3").exists():
            log.rotate("mail.log.3")
            log.write(3)
        return found

    log.write(3)
    async with running():
        await until(lambda: len(rows()) == 3)
        monkeypatch.setattr(files_module, "missed", _missed)
        log.rotate("mail.log.4")
        log.write(3)
        await settled(rows, log)


async def test_log_that_is_rotated_while_one_looks_where_it_went(catch_up, rows, log, monkeypatch):
    def _find(*args):
        if log.path.with_name("mail.log.1").exists():
            log.path.with_name("mail.log.1").rename(log.path.with_name("mail.log.2"))
        return find(*args)

    log.write(3)
    await catch_up()
    log.write(3)
    log.rotate("mail.log.1")
    monkeypatch.setattr(files_module, "find", _find)

    await catch_up()

    await settled(rows, log)


@pytest.mark.parametrize(
    "compress",
    [None, gzip.compress, lzma.compress, zstandard.ZstdCompressor().compress],
    ids=["", "gz", "xz", "zst"],
)
async def test_several_rotations_while_nobody_read(catch_up, rows, log, compress):
    log.write(5)
    await catch_up()
    log.write(5)
    for number in (3, 2, 1):
        old = log.rotate(f"mail.log.{number}")
        if compress:
            seen = old.stat()
            packed = old.with_name(old.name + ".gz")
            packed.write_bytes(compress(old.read_bytes()))
            os.utime(packed, ns=(seen.st_atime_ns, seen.st_mtime_ns))
            old.unlink()
        log.write(5)
    await catch_up()
    await catch_up()

    assert rows() == log.truth


async def test_all_that_is_left_is_read_where_what_was_read_is_gone(catch_up, rows, log):
    log.write(5)
    await catch_up()
    log.rotate("mail.log.4").unlink()
    for number in (3, 2, 1):
        log.write(5)
        log.rotate(f"mail.log.{number}")
    log.write(5)
    await catch_up()
    await catch_up()

    assert rows() == log.truth


async def test_dated_names_are_found(catch_up, rows, log):
    log.write(5)
    await catch_up()
    log.write(5)
    log.rotate("mail.log-20261123")
    log.write(5)
    await catch_up()

    assert rows() == log.truth


async def test_copytruncate_under_our_eyes(running, rows, log):
    log.write(5)
    async with running():
        for number in range(3):
            await until(lambda: len(rows()) == log.count)
            shutil.copy(log.path, log.path.with_name(f"mail.log.{number + 1}"))
            os.truncate(log.path, 0)
            log.write(5)
        await settled(rows, log)


async def test_copytruncate_while_nobody_read_and_grown_past_where_we_were(catch_up, rows, log):
    log.write(5)
    await catch_up()
    log.write(5)
    shutil.copy(log.path, log.path.with_name("mail.log.1"))
    os.truncate(log.path, 0)
    log.write(20)
    await catch_up()
    await catch_up()

    assert rows() == log.truth


async def test_inode_that_is_used_again_is_another_file(catch_up, rows, log):
    log.write(5)
    await catch_up()
    for _ in range(20):  # until the file system gives the same inode
        inode = log.path.stat().st_ino
        log.path.unlink()
        log.path.touch()
        if log.path.stat().st_ino == inode:
            break
    log.write(5)
    await catch_up()

    assert rows() == log.truth


async def test_files_that_begin_alike_are_told_apart(catch_up, rows, log):
    same = b"".join(b"Nov 23 03:12:17 mail postfix/master[1]: the same\n" for _ in range(40))
    for number in range(3):
        log.path.write_bytes(same)
        log.write(3)
        await catch_up()
        if number < 2:
            log.rotate(f"mail.log.{number + 1}")

    assert rows() == log.truth


async def test_empty_and_tiny_files(catch_up, rows, log):
    log.path.touch()
    await catch_up()
    log.path.write_bytes(b"\n")
    await catch_up()
    log.write(1)
    await catch_up()

    assert rows() == log.truth


async def test_line_that_comes_in_two_parts_is_one_line(running, rows, log):
    line = log.lines(1).replace(b"550 5.1.1 no", "550 5.1.1 größer".encode())
    log.path.touch()
    async with running():
        with log.path.open("ab", buffering=0) as file:
            for at in range(len(line)):
                file.write(line[at : at + 1])
                if at % 20 == 0:
                    await asyncio.sleep(0.002)
        await settled(rows, log)


async def test_last_line_without_an_end_is_read_when_the_file_is_over(running, rows, log):
    log.path.write_bytes(log.lines(3)[:-1])
    async with running():
        await until(lambda: len(rows()) == 2)
        log.rotate("mail.log.1")
        log.write(1)
        await settled(rows, log)


async def test_file_and_folder_may_come_later(connecting, classifier, rows, tmp_path, caplog):
    log = Log(tmp_path / "later" / "mail.log")
    recorder = LogRecorder(classifier, Recorder(PolicySettings()), "x", "mail")
    one = Tailer(LogSettings(path=log.path, timezone="UTC"), connecting, recorder)
    task = asyncio.create_task(one.run())
    await asyncio.sleep(0.2)
    log.path.parent.mkdir()
    await asyncio.sleep(0.2)
    log.write(3)
    await settled(rows, log)
    one.stop()
    await task

    assert f"log {log.path}: No such file or directory" in caplog.text


async def test_link_that_leads_elsewhere_is_followed(running, rows, log, tmp_path):
    places = [tmp_path / name / "log" for name in ("a", "b")]
    for place in places:
        place.parent.mkdir()
    log.path.symlink_to(places[0])
    log.write(3, places[0])
    async with running():
        await until(lambda: len(rows()) == 3)
        log.write(3, places[0])
        log.path.unlink()
        log.path.symlink_to(places[1])
        log.write(3, places[1])
        await settled(rows, log)


@pytest.mark.parametrize("count", [0, 3], ids=["empty", "with lines"])
async def test_file_that_is_gone_for_long_is_read_to_its_end_and_so_is_the_next(
    running, rows, log, count
):
    log.path.touch()
    log.write(count)
    async with running():
        await until(lambda: len(rows()) == count)
        await asyncio.sleep(0.3)
        with log.path.open("ab") as file:
            log.path.unlink()
            await asyncio.sleep(0.8)  # longer than it lingers
            file.write(log.lines(3))  # the writer has not noticed yet
        await until(lambda: len(rows()) == count + 3)
        log.write(3)
        await settled(rows, log)


async def test_file_that_is_gone_is_no_loss_after_a_restart_where_it_was_empty(
    catch_up, rows, log, caplog
):
    log.path.touch()
    await catch_up()
    log.path.unlink()
    await catch_up()
    log.write(3)
    await catch_up()

    assert rows() == log.truth
    assert "lost" not in caplog.text


async def test_what_was_held_is_held_on_where_the_connection_breaks_again(
    running, rows, log, monkeypatch, database_url
):
    away = threading.Event()
    add = files_module.store.add_log_file

    async def break_off(conn, file):
        if away.is_set():
            await conn.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return await add(conn, file)

    monkeypatch.setattr(files_module.store, "add_log_file", break_off)
    log.write(3)
    async with running():
        await until(lambda: len(rows()) == 3)
        away.set()
        for number in (1, 2):
            log.rotate("mail.log.1")
            log.write(3)
            await asyncio.sleep(1.5)  # so that each is seen, and held
            if number == 2:
                log.path.with_name("mail.log.1").unlink()
        away.clear()
        await settled(rows, log)


async def test_folder_that_is_replaced(connecting, classifier, rows, tmp_path):
    log = Log(tmp_path / "place" / "mail.log")
    log.path.parent.mkdir()
    log.write(3)
    recorder = LogRecorder(classifier, Recorder(PolicySettings()), "x", "mail")
    one = Tailer(LogSettings(path=log.path, timezone="UTC"), connecting, recorder)
    task = asyncio.create_task(one.run())
    await until(lambda: len(rows()) == 3)
    shutil.rmtree(log.path.parent)
    log.path.parent.mkdir()
    log.write(3)
    await settled(rows, log)
    one.stop()
    await task


async def test_without_inotify_files_are_looked_at(running, rows, log, monkeypatch):
    def refuse(*_args, **_options):
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr("mtabounce.sources._watch.Observer", refuse)
    log.write(3)
    async with running():
        await until(lambda: len(rows()) == 3)
        log.write(3)
        await settled(rows, log)


async def test_files_whose_times_lag_are_read_to_their_end(running, rows, log, monkeypatch):
    def refuse(*_args, **_options):
        raise OSError(28, "inotify watch limit reached")

    def write(count, path=None):
        log.write(count, path)
        ago = log.path.stat().st_ctime - 90  # the clock of another host
        os.utime(path or log.path, (ago, ago))

    monkeypatch.setattr("mtabounce.sources._watch.Observer", refuse)
    write(3)
    async with running():
        await until(lambda: len(rows()) == 3)
        for number in (2, 1):
            old = log.rotate(f"mail.log.{number}")
            write(3)
            write(3, old)  # the writer has not noticed yet
            await until(lambda: len(rows()) == log.count)
        await settled(rows, log)


async def test_file_that_is_rotated_on_while_one_looks_is_not_read_twice(
    running, rows, log, monkeypatch, database_url
):
    looks = 0

    def open_as_it_is_rotated(place):
        nonlocal looks
        if place.name == "mail.log.1" and looks == 0:
            looks += 1
            for number in (2, 1):
                log.path.with_name(f"mail.log.{number}").rename(
                    log.path.with_name(f"mail.log.{number + 1}")
                )
            log.rotate("mail.log.1")
            log.write(3)
        return open_log(place)

    async with running():
        log.write(3)
        await settled(rows, log)
        monkeypatch.setattr("mtabounce.sources.rotation.open_log", open_as_it_is_rotated)
        log.rotate("mail.log.2")
        log.write(3)
        log.rotate("mail.log.1")  # nobody has seen it by its first name
        log.write(3)
        await until(lambda: looks)
        await settled(rows, log)

    with psycopg.connect(database_url) as conn:
        counted = conn.execute("SELECT sum(bounced) FROM mtabounce.delivery_stats").fetchone()
    assert counted == (log.count,)


async def test_hole_of_nuls_and_lines_that_are_no_lines(running, rows, log):
    async with running():
        log.path.write_bytes(b"\0" * 1001 + log.lines(1))
        with log.path.open("ab") as file:
            file.write(b"A" * 1_000_000 + b"\n" + log.lines(1))
            file.write(b"\0" * 300_000)
            file.write(log.lines(1) + b"\xff\xfe\r\n\n" + log.lines(1).replace(b"\n", b"\r\n"))
        await settled(rows, log)


async def test_permission_that_is_lost_and_given_back(running, rows, log):
    # Root may read everything: for it, this is one more rotation.
    log.write(3)
    async with running():
        await until(lambda: len(rows()) == 3)
        log.rotate("mail.log.1")
        log.write(3)
        log.path.chmod(0)
        await asyncio.sleep(0.5)
        log.path.chmod(0o640)
        await settled(rows, log)


async def test_second_reader_waits_and_takes_over(running, tailer, rows, log):
    log.write(3)
    async with running():
        await until(lambda: len(rows()) == 3)
        second = tailer()
        task = asyncio.create_task(second.run())
        log.write(3)
        await settled(rows, log)
    log.write(3)
    await settled(rows, log)
    second.stop()
    await task


async def test_lost_connections_lose_nothing(running, rows, log, database_url):
    stop = threading.Event()

    def cut():
        while not stop.wait(0.15):
            with psycopg.connect(database_url, autocommit=True) as conn:
                conn.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'mtabounce test' AND datname = current_database()"
                )

    cutting = threading.Thread(target=cut)
    async with running():
        cutting.start()
        for _ in range(40):
            log.write(5)
            await asyncio.sleep(0.05)
        stop.set()
        await asyncio.to_thread(cutting.join)
        await settled(rows, log)


async def test_format_may_change_in_the_middle(catch_up, rows, log):
    log.write(3)
    with log.path.open("ab") as file:
        file.write(log.lines(3).replace(SECOND.encode(), b"2026-11-23T03:12:17.1+00:00"))
    await catch_up()

    assert rows() == log.truth


async def test_deferred_recipient_is_known_days_later(catch_up, rows, log, database_url):
    head = f"{SECOND} mail postfix"
    text = log.lines(1).decode().replace("dsn=5.1.1, status=bounced", "dsn=4.2.2, status=deferred")
    log.path.write_text(
        f"{head}/cleanup[1]: 4A0000000: message-id=<one@s.test>\n"
        f"{head}/qmgr[1]: 4A0000000: from=<news@s.test>, size=1, nrcpt=1 (queue active)\n{text}"
    )
    await catch_up()
    log.rotate("mail.log.1").unlink()
    log.path.write_text(
        "Nov 23 09:12:17 mail postfix/qmgr[1]: 4A0000000: from=<news@s.test>, status=expired, x\n"
    )
    await catch_up()

    with psycopg.connect(database_url) as conn:
        (found,) = conn.execute(
            "SELECT original_message_id, diagnostic_code, action FROM mtabounce.observations"
        ).fetchall()
        (waiting,) = conn.execute("SELECT count(*) FROM mtabounce.pending_deliveries").fetchone()
    assert found == ("one@s.test", "550 5.1.1 no", "failed")
    assert waiting == 0


def deferred(recipient, sender, queue_id="4A00000000"):
    head = f"{SECOND} mail postfix"
    return (
        f"{head}/qmgr[1]: {queue_id}: from=<{sender}>, size=1, nrcpt=1 (queue active)\n"
        f"{head}/smtp[77]: {queue_id}: to=<{recipient}>, relay=none, delay=1, delays=0/0/0/1,"
        " dsn=4.4.1, status=deferred (connect to mx[192.0.2.1]:25: refused)\n"
    )


async def test_two_who_forward_to_one_address_are_each_known_days_later(
    catch_up, log, database_url
):
    line = deferred("x@x.example", "news@s.test")
    begun, attempt, _ = line.split("\n")
    amy, bob = (attempt.replace(">, relay", f">, orig_to=<{name}@s.test>, relay") for name in AB)
    log.path.write_text(f"{begun}\n{amy}\n{bob}\n")
    await catch_up()
    log.rotate("mail.log.1").unlink()
    log.path.write_text(
        f"{bob.replace('status=deferred', 'status=sent').replace('dsn=4.4.1', 'dsn=2.0.0')}\n"
        f"{SECOND} mail postfix/qmgr[1]: 4A00000000: from=<news@s.test>, status=expired, x\n"
    )
    await catch_up()

    with psycopg.connect(database_url) as conn:
        failed = conn.execute("SELECT recipient FROM mtabounce.bounces").fetchall()
        waiting = conn.execute("SELECT count(*) FROM mtabounce.pending_deliveries").fetchone()
    assert failed == [("amy@s.test",)]
    assert waiting == (0,)


async def test_two_who_forward_to_one_address_are_two_bounces(catch_up, log, database_url):
    begun, attempt, _ = deferred("x@x.example", "news@s.test").split("\n")
    attempt = attempt.replace("dsn=4.4.1, status=deferred", "dsn=5.1.1, status=bounced")
    failing = [attempt.replace(">, relay", f">, orig_to=<{name}@s.test>, relay") for name in AB]
    log.path.write_text("\n".join([begun, *failing, ""]))
    await catch_up()

    with psycopg.connect(database_url) as conn:
        failed = conn.execute("SELECT recipient, observations FROM mtabounce.bounces").fetchall()
        suppressed = conn.execute("SELECT recipient FROM mtabounce.suppressions").fetchall()
    assert sorted(failed) == [("amy@s.test", 1), ("bob@s.test", 1)]
    assert len(suppressed) == len(failed)


async def test_message_that_is_removed_lets_nobody_wait(catch_up, log, database_url):
    log.path.write_text(deferred("ann@x.example", "news@s.test"))
    await catch_up()
    with psycopg.connect(database_url, autocommit=True) as conn:
        waiting = "SELECT final_recipient FROM mtabounce.pending_deliveries"
        before = conn.execute(waiting).fetchall()
        with log.path.open("a") as file:
            file.write(f"{SECOND} mail postfix/qmgr[1]: 4A00000000: removed\n")
        await catch_up()

        assert before == [("ann@x.example",)]
        assert conn.execute(waiting).fetchall() == []


async def test_who_waited_in_an_earlier_message_of_the_same_id_does_not_expire(catch_up, rows, log):
    log.path.write_text(deferred("ann@x.example", "news@s.test"))
    await catch_up()
    log.rotate("mail.log.1").unlink()  # and with it the line that said that the message was gone
    log.path.write_text(deferred("bob@x.example", "other@s.test"))
    with log.path.open("a") as file:
        file.write(
            f"{SECOND} mail postfix/qmgr[1]: 4A00000000: from=<other@s.test>, status=expired, x\n"
        )
    await catch_up()

    assert rows() == ["bob@x.example"]


async def test_first_start_begins_with_the_log_as_it_is(catch_up, rows, log):
    log.write(2)
    old = log.rotate("mail.log.1")
    log.write(1)
    await catch_up()
    os.utime(old)  # somebody touched it

    assert rows() == ["u2@x.example"]


async def test_messages_under_way_are_known_after_a_restart(catch_up, log, database_url):
    head = f"{SECOND} mail postfix"
    log.path.write_text(
        f"{head}/cleanup[1]: 4A0000000: message-id=<one@s.test>\n"
        f"{head}/qmgr[1]: 4A0000000: from=<news@s.test>, size=1, nrcpt=1 (queue active)\n"
    )
    await catch_up()
    log.write(1)
    await catch_up()

    with psycopg.connect(database_url) as conn:
        found = conn.execute("SELECT original_message_id FROM mtabounce.observations").fetchone()
    assert found == ("one@s.test",)


async def test_line_is_a_row_within_a_tenth_of_a_second(running, rows, log, database_url):
    log.write(1)
    took = []
    async with running():
        await until(rows)
        with psycopg.connect(database_url, autocommit=True) as conn:
            for _ in range(50):
                log.write(1)
                begun = asyncio.get_running_loop().time()
                while True:
                    (count,) = conn.execute(
                        "SELECT count(*) FROM mtabounce.observations"
                    ).fetchone()
                    if count == log.count:
                        break
                    await asyncio.sleep(0.001)
                took.append(asyncio.get_running_loop().time() - begun)
    assert sorted(took)[len(took) // 4] < 0.2  # others may use this machine, too


async def test_deliveries_are_counted(catch_up, log, database_url):
    log.write(5)
    with log.path.open("ab") as file:
        file.write(log.lines(3).replace(b"status=bounced", b"status=sent"))
    await catch_up()

    with psycopg.connect(database_url) as conn:
        (found,) = conn.execute(
            "SELECT domain, relay, sent, deferred, bounced FROM mtabounce.delivery_stats"
        ).fetchall()
    assert found == ("x.example", "mx", 3, 0, 5)
