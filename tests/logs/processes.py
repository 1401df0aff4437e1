"""The tailer as a process, and a log that it follows."""

import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

import psycopg
import pytest

from .conftest import bounced


def _may_mount():
    tried = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    try:
        return subprocess.run(tried, stderr=subprocess.DEVNULL).returncode == 0
    except FileNotFoundError:
        return False


# Root of a container is often refused this, however much else it may do.
MOUNTS = pytest.mark.xfail(not _may_mount(), reason="nothing may be mounted here", run=False)


class Log:
    """A log that is written, and rotated so often that little is kept."""

    def __init__(self, path):
        self.path = path
        self.count = 0

    def write(self, count=1):
        with self.path.open("a") as file:
            file.write("".join(bounced(self.count + number) for number in range(count)))
        self.count += count

    def rotate(self, keep):
        for number in range(keep, 0, -1):
            with suppress(FileNotFoundError):
                self.at(number).rename(self.at(number + 1))
        self.at(keep + 1).unlink(missing_ok=True)
        self.path.rename(self.at(1))
        self.path.touch()

    def at(self, number):
        return self.path.with_name(f"mail.log.{number}")


def command(folder, url, log):
    config = folder / "mtabounce.toml"
    config.write_text(
        f'[database]\nurl = "{url}"\n[[log]]\npath = "{log.path}"\n'
        'host = "mail"\ntimezone = "UTC"\n'
    )
    return [sys.executable, "-m", "mtabounce", "--config", str(config), "tail"]


@contextmanager
def tailing(folder, url, log):
    with subprocess.Popen(command(folder, url, log), stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def stop(process):
    """Ask it to end; return how many seconds it took, and what it had said."""
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    return time.monotonic() - begun, said.decode()


def ask(url, text):
    with psycopg.connect(url, autocommit=True) as conn:
        return conn.execute(text).fetchone()


def stored(url):
    return ask(
        url,
        "SELECT count(*), count(DISTINCT final_recipient),"
        " (SELECT coalesce(sum(bounced), 0)::int FROM mtabounce.delivery_stats)"
        " FROM mtabounce.observations",
    )


def until(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
