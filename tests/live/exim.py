"""An Exim of our own: private configuration, spool and log, on loopback only."""

import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

from tests.live.processes import LOOPBACK, end, find, free_port, is_listening, run, wait_until

USER = "Debian-exim"
SECTIONS = ("main", "acl", "rcpt", "routers", "transports", "retry")

# As in Debian's package where it matters; times are in seconds where Exim counts in hours. Each
# queue run comes later than the next try is due: Exim gives up without a last try, and without
# the words of the other server, where a mail is too old and its next try is not due.
_MAIN = """
exim_path = {folder}/exim4
exim_user = Debian-exim
exim_group = Debian-exim
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/spool/exim.pid
primary_hostname = mail.example.org
qualify_domain = mail.example.org
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
disable_ipv6 = true
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts =
acl_smtp_rcpt = check_rcpt
acl_smtp_data = accept_all
keep_environment =
{main}
never_users =
queue_run_max = 10
remote_max_parallel = 10
smtp_accept_queue_per_connection = 0
delay_warning = 1d

begin acl
{acl}
check_rcpt:
{rcpt}
  accept

accept_all:
  accept

begin routers
{routers}
to_the_mx:
  driver = manualroute
  domains = {domains}
  route_list = * 127.0.0.1
  self = send
  transport = to_the_mx

begin transports
{transports}
to_the_mx:
  driver = smtp
  port = {mx_port}
  connect_timeout = 2s
  command_timeout = 2s
  data_timeout = 2s
  final_timeout = 2s

begin retry
{retry}
* * F,5s,1s
"""


class Exim:
    """
    The instance, within ``with``.

    *sections* come first in their sections (main, acl, rcpt of the ACL for RCPT, routers,
    transports, retry); *mx_port* gets the mail
    of *domains*.
    """

    def __init__(
        self, folder: Path, *, domains: Iterable[str], mx_port: int, sections: Mapping[str, str]
    ) -> None:
        self.port = free_port()
        self._program = find("exim4")
        self._folder = folder
        self._config = folder / "exim.conf"
        self._text = _MAIN.format(
            folder=folder,
            port=self.port,
            domains=" : ".join(domains),
            mx_port=mx_port,
            **(dict.fromkeys(SECTIONS, "") | dict(sections)),
        )

    def __enter__(self) -> Self:
        for name in ("spool", "log"):
            (self._folder / name).mkdir(parents=True)
            shutil.chown(self._folder / name, USER, USER)
        self._config.write_text(self._text)
        # Where Exim's own user can reach it: it starts itself again for each delivery.
        shutil.copyfile(self._program, self._folder / "exim4")
        (self._folder / "exim4").chmod(0o755)
        run(self._folder / "exim4", "-C", self._config, "-bd", "-q2s")
        pid_file = self._folder / "spool" / "exim.pid"
        wait_until(
            lambda: pid_file.exists() and pid_file.read_text().strip(),
            "Exim has a pid",
            details=self.log,
        )
        self._pid = int(pid_file.read_text())
        try:
            wait_until(lambda: is_listening(self.port), "Exim listens", details=self.log)
        except TimeoutError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        end(self._pid)

    @property
    def address(self) -> tuple[str, int]:
        return LOOPBACK, self.port

    def sendmail(self, sender: str, recipient: str, content: str) -> None:
        """Hand a mail over as programs on the machine do."""
        subprocess.run(
            [self._folder / "exim4", "-C", self._config, "-f", sender, recipient],
            input=content.replace("\r\n", "\n"),
            text=True,
            check=True,
        )

    def queue(self) -> list[str]:
        """Return the ids of the mails in the spool."""
        return sorted(header.name[:16] for header in (self._folder / "spool").glob("input/**/*-H"))

    def rotate(self) -> None:
        """Rename the main log, as logrotate does; Exim finds out by itself."""
        log = self._folder / "log" / "mainlog"
        log.rename(log.with_name(f"mainlog.{time.monotonic_ns()}"))

    def log(self) -> str:
        logs = sorted((self._folder / "log").glob("*log"))
        return "".join(log.read_text(errors="replace") for log in logs)
