"""A Dovecot of our own: POP3 and IMAP over Maildirs, on loopback only."""

import os
import pwd
import shutil
import subprocess
import time
from pathlib import Path
from typing import Self

from tests.live.processes import LOOPBACK, end, find, free_port, is_listening, run, wait_until

USER, PASSWORD = "bounces", "sword fish"
OWNER = "mail"  # of the Maildirs: any user of the system but root
_CONFIG = """
protocols = pop3 imap
listen = {listen}
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
default_internal_user = dovecot
default_login_user = dovenull
disable_plaintext_auth = no
auth_mechanisms = plain login apop xoauth2
ssl = yes
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
mail_location = maildir:{folder}/mail/%n
first_valid_uid = 1
imap_capability = {capability}
{oauth2}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {folder}/passwd
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/mail/%n
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


_OAUTH2 = """
passdb {{
  driver = oauth2
  mechanisms = xoauth2
  args = {folder}/oauth2.conf
}}
"""
_TOKENS = """
tokeninfo_url = {url}?access_token=
introspection_mode = auth
username_attribute = email
"""


class Dovecot:
    """
    The instance, within ``with``; *ports* are those of pop3, pop3s, imap and imaps.

    With *tokeninfo*, XOAUTH2 lets in those of whom that URL says so. *capability* is what IMAP
    says that it can do, where that is not all.
    """

    def __init__(self, folder: Path, tokeninfo: str = "", capability: str = "") -> None:
        find("dovecot")
        self._folder = folder
        self.ports = {name: free_port() for name in ("pop3", "pop3s", "imap", "imaps")}
        self.certificate = folder / "cert.pem"
        self._inbox = folder / "mail" / USER
        self._tokeninfo = tokeninfo
        self._capability = capability

    def __enter__(self) -> Self:
        self._folder.mkdir()
        self._make_certificate()
        owner = pwd.getpwnam(OWNER)
        for part in ("new", "cur", "tmp"):
            (self._inbox / part).mkdir(parents=True)
        for path in (self._inbox.parent, self._inbox, *self._inbox.iterdir()):
            os.chown(path, owner.pw_uid, owner.pw_gid)
        (self._folder / "passwd").write_text(f"{USER}:{PASSWORD}::::::\n")
        (self._folder / "oauth2.conf").write_text(_TOKENS.format(url=self._tokeninfo))
        config = self._folder / "dovecot.conf"
        config.write_text(
            _CONFIG.format(
                folder=self._folder,
                listen=LOOPBACK,
                capability=self._capability,
                oauth2=_OAUTH2.format(folder=self._folder) if self._tokeninfo else "",
                uid=owner.pw_uid,
                gid=owner.pw_gid,
                **self.ports,
            )
        )
        run("dovecot", "-c", config)
        wait_until(lambda: all(map(is_listening, self.ports.values())), "Dovecot listens")
        pid_file = self._folder / "run" / "master.pid"
        wait_until(lambda: pid_file.exists() and pid_file.read_text().strip(), "Dovecot has a pid")
        self._pid = int(pid_file.read_text())
        return self

    def __exit__(self, *error: object) -> None:
        end(self._pid)

    def put(self, mail: bytes) -> None:
        """Put *mail* into the inbox, as a delivery agent does."""
        name = f"{time.time_ns()}.test"
        path = self._inbox / "tmp" / name
        path.write_bytes(mail)
        shutil.chown(path, OWNER, OWNER)
        path.rename(self._inbox / "new" / name)

    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    def mails(self) -> list[bytes]:
        """Return the mails that are in the inbox."""
        files = [path for part in ("new", "cur") for path in (self._inbox / part).iterdir()]
        return [path.read_bytes() for path in files]

    def _make_certificate(self) -> None:
        command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
        names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        files = ["-keyout", self._folder / "key.pem", "-out", self.certificate]
        subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
