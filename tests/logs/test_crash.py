"""
The tailer as a process that is killed again and again, while the log is written and rotated.

MTABOUNCE_CRASHES says how often; 500 take a quarter of an hour, and more on a busy machine.
"""

import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter

import psycopg
import pytest

from .processes import command

CRASHES = int(os.environ.get("MTABOUNCE_CRASHES", "6"))
KEPT = 60  # rotated files; older ones are deleted
STAMP = "Nov 23 03:12:17 mail postfix"


class Writer(threading.Thread):
    """Writes a log as a mail server would, and rotates it, until told to stop."""

    def __init__(self, path):
        super().__init__(daemon=True)  # a test that fails must end
        self.path = path
        self.over = threading.Event()
        self.known = threading.Event()  # a log that nobody has read yet begins where it is
        self.may_write = threading.Event()
        self.may_write.set()
        self.count = 0
        self.rotations = 0

    def run(self):
        rng = random.Random(1)  # noqa: S311 (no secret)
        file = self.path.open("ab", buffering=0)
        due = time.monotonic() + 1
        while not self.over.is_set():
            if not self.may_write.wait(0.1):
                continue
            for line in self.message():
                self.put(file, line.encode(), rng)
            if time.monotonic() > due and self.known.is_set():
                due = time.monotonic() + rng.uniform(0.5, 2.0)
                file = self.rotate(file)
            time.sleep(0.004)
        file.close()

    def message(self):
        """Of three messages one fails, one waits and expires, one arrives after it waited."""
        number, self.count = self.count, self.count + 1
        queue_id, to = f"{0x4A0000000 + number:X}", f"u{number}@x{number % 7}.example"
        head = f"{STAMP}/qmgr[7]: {queue_id}:"
        yield f"{STAMP}/cleanup[9]: {queue_id}: message-id=<{number}@sender.test>\n"
        yield f"{head} from=<b{number}@sender.test>, size=343, nrcpt=1 (queue active)\n"
        said = "550 5.1.1 no" if number % 3 == 0 else "452 4.2.2 full"
        yield self.attempt(queue_id, to, "bounced" if number % 3 == 0 else "deferred", said)
        if number % 3 == 1:
            yield f"{head} from=<b{number}@sender.test>, status=expired, returned to sender\n"
        if number % 3 == 2:
            yield self.attempt(queue_id, to, "sent", "250 2.0.0 ok")
        yield f"{head} removed\n"

    def attempt(self, queue_id, to, state, said):
        return (
            f"{STAMP}/smtp[8]: {queue_id}: to=<{to}>, relay=mx.x.example[192.0.2.1]:25, delay=1,"
            f" delays=0/0/0/1, dsn={said[4:9]}, status={state} (host mx.x.example[192.0.2.1]"
            f" said: {said} (in reply to RCPT TO command))\n"
        )

    def put(self, file, line, rng):
        if rng.random() < 0.05:  # a reader may see half a line
            at = rng.randrange(1, len(line))
            file.write(line[:at])
            time.sleep(0.003)
            line = line[at:]
        file.write(line)

    def rotate(self, file):
        for number in range(KEPT, 0, -1):
            old = self.path.with_name(f"mail.log.{number}")
            if old.exists():
                old.rename(self.path.with_name(f"mail.log.{number + 1}"))
        self.path.rename(self.path.with_name("mail.log.1"))
        self.rotations += 1
        for line in self.message():  # the writer has not noticed yet
            file.write(line.encode())
        file.close()
        return self.path.open("ab", buffering=0)

    @property
    def truth(self):
        return {
            f"u{number}@x{number % 7}.example": f"{number}@sender.test"
            for number in range(self.count)
            if number % 3 != 2
        }


@pytest.mark.timeout(240 + 20 * CRASHES)
def test_rows_are_exactly_the_truth_however_often_it_is_killed(tmp_path, database_url):
    writer = Writer(tmp_path / "mail.log")
    follow = command(tmp_path, database_url, writer)
    writer.start()
    rng = random.Random(2)  # noqa: S311 (no secret)
    for _ in range(CRASHES):
        process = subprocess.Popen(follow, stderr=subprocess.PIPE)
        wait_until_reading(database_url, process)
        writer.known.set()
        time.sleep(rng.uniform(0, 0.6))
        # A reader that is killed all the time may be slower than what it reads is rotated away.
        if unread(database_url) < KEPT / 3:
            writer.may_write.set()
        else:
            writer.may_write.clear()
        process.send_signal(signal.SIGKILL)
        process.communicate()
    writer.over.set()
    writer.join()
    done = subprocess.run([*follow, "--until-idle"], capture_output=True, timeout=240)

    assert done.returncode == 0, done.stderr
    found = failures(database_url)
    assert Counter(found).most_common(1)[0][1] == 1
    assert dict(found) == writer.truth
    assert counts(database_url) == (
        writer.count // 3,
        writer.count - (writer.count + 2) // 3,
        writer.count - writer.count // 3,
    )
    assert writer.rotations > CRASHES / 4


def test_process_that_is_asked_to_end_does_so_at_once(tmp_path, database_url):
    writer = Writer(tmp_path / "mail.log")
    follow = command(tmp_path, database_url, writer)
    writer.start()
    process = subprocess.Popen(follow, stderr=subprocess.PIPE)
    wait_until_reading(database_url, process)
    process.send_signal(signal.SIGTERM)
    begun = time.monotonic()
    process.communicate(timeout=60)
    took = time.monotonic() - begun
    writer.over.set()
    writer.join()

    assert process.returncode == 0
    assert took < 30  # a busy machine has many seconds; a quiet one needs half of one


def wait_until_reading(url, process):
    """Wait until the process has committed something, so that it is killed at work."""
    before = position(url)
    deadline = time.monotonic() + 120  # a busy machine has others to start
    while position(url) == before and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def position(url):
    with psycopg.connect(url) as conn:
        return conn.execute("SELECT sum(position) FROM mtabounce.log_files").fetchone()


def unread(url):
    """Return how many files are known of which nothing was read."""
    with psycopg.connect(url) as conn:
        (count,) = conn.execute(
            "SELECT count(*) FROM mtabounce.log_files WHERE position = 0 AND NOT finished"
        ).fetchone()
        return count


def failures(url):
    with psycopg.connect(url) as conn:
        return conn.execute(
            "SELECT final_recipient, original_message_id FROM mtabounce.observations"
        ).fetchall()


def counts(url):
    with psycopg.connect(url) as conn:
        return conn.execute(
            "SELECT sum(sent)::int, sum(deferred)::int, sum(bounced)::int"
            " FROM mtabounce.delivery_stats"
        ).fetchone()
