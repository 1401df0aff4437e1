"""The tailer as a process, a log that it follows, and its way to the database."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from .lines import bounced


def _may_mount():
    tried = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    try:
        return subprocess.run(tried, stderr=subprocess.DEVNULL).returncode == 0
    except FileNotFoundError:
        return False


# Root of a container is often refused this, however much else it may do.
MOUNTS = pytest.mark.xfail(not _may_mount(), reason="nothing may be mounted here", run=False)

_POWERS = "-dac_override,-dac_read_search"  # by which root may open all files
POWERLESS = "setpriv", f"--bounding-set={_POWERS}", f"--inh-caps={_POWERS}"
AS_ROOT = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root may do this"
)


DAY = datetime(2026, 11, 23, tzinfo=UTC)


class Log:
    """A log that is written, and rotated so often that little is kept."""

    def __init__(self, path, day=DAY):
        self.path = path
        self.day = day
        self.count = 0

    def write(self, count=1):
        lines = "".join(bounced(self.count + number) for number in range(count))
        with self.path.open("a") as file:
            file.write(lines.replace("Nov 23", f"{self.day:%b} {self.day.day:2}"))
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


class Proxy:
    """Stands between us and PostgreSQL, and may cut the connection after a COMMIT."""

    def __init__(self, url):
        self._to = conninfo_to_dict(url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        who = self._to["user"] + (f":{self._to['password']}" if "password" in self._to else "")
        self.url = f"postgresql://{who}@127.0.0.1:{port}/{self._to['dbname']}?sslmode=disable"
        self.cuts_left = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(f"{self._to['host']}/.s.PGSQL.{self._to.get('port', 5432)}")
            committing = threading.Event()
            for work in (self._ask, self._answer):
                args = client, server, committing
                threading.Thread(target=work, args=args, daemon=True).start()

    def _ask(self, client, server, committing):
        with suppress(OSError), client, server:
            while data := client.recv(65536):
                if self.cuts_left and b"COMMIT\0" in data:
                    committing.set()
                server.sendall(data)

    def _answer(self, client, server, committing):
        with suppress(OSError):  # closed by the other thread
            while data := server.recv(65536):
                if committing.is_set():  # it is done, and nobody will hear of it
                    self.cuts_left -= 1
                    break
                client.sendall(data)
        for one in (client, server):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


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
