"""The configuration loads, and no password stands in a file that others may read."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from mtabounce.config import hide_passwords
from mtabounce.doctor._check import Check, Finding, Level, Patient
from mtabounce.settings import Settings

_TITLE = "configuration"


def _run(patient: Patient) -> Iterator[Finding]:
    if patient.settings is None:
        for line in str(patient.fault).splitlines():
            yield Finding(_TITLE, Level.FAIL, line)
        return
    yield Finding(_TITLE, Level.OK, str(patient.config or "no file; defaults and environment"))
    if patient.config and _holds_password(patient.settings) and _is_open(patient.config):
        yield Finding(
            _TITLE,
            Level.WARN,
            f"{patient.config} holds a password, and other users may read it",
            f"chmod 640 {patient.config}, or put the password into a file of its own (passfile=)",
        )


def _holds_password(settings: Settings) -> bool:
    url = settings.database.url or ""
    # What the environment says is not in the file.
    return "MTABOUNCE_DATABASE__URL" not in os.environ and hide_passwords(url) != url


def _is_open(path: Path) -> bool:
    return bool(path.stat().st_mode & stat.S_IROTH)


CHECK = Check(title=_TITLE, rank=10, run=_run, needs_settings=False)
