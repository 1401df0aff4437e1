"""A Postfix of our own: private configuration, queue and log, on loopback only."""

import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

from tests.live.processes import LOOPBACK, find, free_port, is_listening, run, wait_until

# What Debian's package sets too, or what keeps an instance to itself; times are in seconds
# where Postfix counts in hours and days, so that a mail expires within a test. With a backoff of
# one second it now and then retries a mail that is still locked, and forgets it.
_MAIN = """
compatibility_level = 3.6
config_directory = {folder}/etc
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log/maillog
maillog_file_prefixes = {folder}
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.example.org
mydestination = $myhostname
myorigin = $myhostname
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
smtp_dns_support_level = disabled
smtp_host_lookup = native
queue_run_delay = 1s
minimal_backoff_time = 2s
maximal_backoff_time = 2s
maximal_queue_lifetime = {lifetime}
smtp_connect_timeout = 2s
smtp_rcpt_timeout = 1s
smtp_destination_concurrency_failed_cohort_limit = 0
default_destination_concurrency_negative_feedback = 0
default_destination_concurrency_limit = 50
smtpd_client_connection_count_limit = 0
smtpd_authorized_verp_clients = 127.0.0.0/8
in_flow_delay = 0
"""

_MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """
    The instance, within ``with``.

    *main* and *master* are appended to its main.cf and master.cf; *transport* is its
    ``mtabounce_transport``; *files* are others, by their names. In all of them, ``/etc/postfix``
    stands for its own folder. What cannot be delivered within *lifetime* bounces. Of the *files*
    named in *tables* it has tables when it starts: a process that finds none never looks again.
    """

    def __init__(
        self,
        folder: Path,
        *,
        main: str,
        master: str,
        transport: str,
        lifetime: str = "4s",
        files: Mapping[str, str] | None = None,
        tables: Iterable[str] = (),
    ) -> None:
        find("postfix")
        self.port = free_port()
        self._folder = folder
        self._config = folder / "etc"
        self._tables = tables
        self._files = {
            "main.cf": _MAIN.format(folder=folder, lifetime=lifetime) + main,
            "master.cf": _MASTER.format(port=self.port) + master,
            "mtabounce_transport": transport,
            **(files or {}),
        }

    def __enter__(self) -> Self:
        for name in ("etc", "queue", "data", "log"):
            (self._folder / name).mkdir(parents=True)
        shutil.chown(self._folder / "data", "postfix")
        for name, text in self._files.items():
            (self._config / name).write_text(text.replace("/etc/postfix", str(self._config)))
        for name in self._tables:
            self.postmap(name)
        run("postfix", "-c", self._config, "start")
        try:
            wait_until(lambda: is_listening(self.port), "Postfix listens", details=self.log)
        except TimeoutError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        run("postfix", "-c", self._config, "stop")

    @property
    def address(self) -> tuple[str, int]:
        return LOOPBACK, self.port

    def sendmail(self, sender: str, recipient: str, content: str) -> None:
        """Hand a mail over as programs on the machine do."""
        subprocess.run(
            ["sendmail", "-C", self._config, "-f", sender, recipient],
            input=content.replace("\r\n", "\n"),
            text=True,
            check=True,
        )

    def postmap(self, name: str) -> None:
        """Make a table of the file *name* in its folder."""
        run("postmap", "-c", self._config, f"hash:{self._config / name}")

    def reload(self) -> None:
        """Let its processes start anew, so that they know nothing of what was away."""
        run("postfix", "-c", self._config, "reload")

    def queue(self) -> list[str]:
        """Return the mails in the queue, each as postqueue's JSON."""
        return run("postqueue", "-c", self._config, "-j").splitlines()

    def rotate(self) -> None:
        """Let Postfix rotate its log, and compress the old one."""
        run("postfix", "-c", self._config, "logrotate")

    def log(self) -> str:
        log = self._folder / "log" / "maillog"
        return log.read_text(errors="replace") if log.exists() else ""
