"""The state directory: where the program keeps what must outlive it, beside the database."""

import errno
import os
from pathlib import Path
from typing import IO, Any

from pydantic import Field

from mtabounce.config import Section
from mtabounce.errors import ConfigError, DiskTrouble

SYSTEM_DIRECTORY = Path("/var/lib/mtabounce")
_PASSING = {
    *(errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO),
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM),
}


class StateSettings(Section):
    """Where the program keeps files of its own: the embedded database, the spool."""

    directory: Path | None = Field(
        default=None,
        description="The state directory. Absent: $STATE_DIRECTORY (systemd sets it),"
        " else /var/lib/mtabounce for root and the user that owns it,"
        " else ~/.local/state/mtabounce.",
    )


def state_directory(settings: StateSettings) -> Path:
    """Return the state directory, absolute and without links; it may not exist yet."""
    return (settings.directory or _default_directory()).expanduser().resolve()


def spool_directory(settings: StateSettings) -> Path:
    """Return where webhooks are kept while the database is away; it may not exist yet."""
    return state_directory(settings) / "spool"


def make_state_directory(directory: Path) -> None:
    """
    Make *directory* where it is missing.

    Root's can be entered by all, as PostgreSQL runs as another user in a folder below; each
    folder in it guards itself. Raises ConfigError where it cannot be made.
    """
    try:
        if directory.is_dir():
            return
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o711 if os.geteuid() == 0 else 0o700)  # whatever the umask is
    except OSError as error:
        raise unfit(directory, error) from error


def unfit(directory: Path, error: OSError) -> ConfigError:
    """Return what to raise for *error* in *directory*: DiskTrouble where it may pass."""
    kind = DiskTrouble if error.errno in _PASSING else ConfigError
    return kind(f"[state] directory {directory}: {error.strerror or error}")


def give_to_owner(file: IO[Any], folder: Path) -> None:
    """Let the user whose *folder* is open *file*, which root may have made there."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(file.fileno(), owner.st_uid, owner.st_gid)


def sync_folder(folder: Path) -> None:
    """Return once the names in *folder*, of files made or renamed there, outlive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _default_directory() -> Path:
    if given := os.environ.get("STATE_DIRECTORY"):
        return Path(given.split(":")[0])  # systemd.exec(5): several are separated by colons
    if os.geteuid() == 0 or _is_own(SYSTEM_DIRECTORY):
        return SYSTEM_DIRECTORY
    named = os.environ.get("XDG_STATE_HOME", "")
    home = Path(named) if named.startswith("/") else Path("~/.local/state")
    return home / "mtabounce"


def _is_own(directory: Path) -> bool:
    """Tell whether *directory* is there, and that of the service whose user runs this."""
    try:
        return directory.stat().st_uid == os.geteuid()
    except OSError:
        return False
