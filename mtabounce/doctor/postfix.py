"""Postfix, where it is installed, does not let mails be smuggled in (CVE-2023-51764)."""

import os
import shutil
import subprocess
from collections.abc import Iterator

from mtabounce.doctor._check import Check, Finding, Level, Patient

_TITLE = "postfix"
_PATIENCE = 10  # seconds for postconf
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
_ADVICE = "run: postconf -e smtpd_forbid_bare_newline=normalize && postfix reload"


def _run(patient: Patient) -> Iterator[Finding]:
    del patient
    postconf = shutil.which("postconf", path=_PATH)
    if postconf is None:
        yield Finding(_TITLE, Level.OK, "not installed on this host")
        return
    version = _ask(postconf, "-dh", "mail_version").stdout.strip()
    asked = _ask(postconf, "-h", "smtpd_forbid_bare_newline")
    if asked.returncode:
        said = (asked.stderr.strip().splitlines() or ["postconf gave no reason"])[-1]
        yield Finding(_TITLE, Level.OK, f"Postfix {version} is installed, but not set up: {said}")
        return
    yield _smuggling(version, asked.stdout.strip())


def _smuggling(version: str, value: str) -> Finding:
    if not value:
        return Finding(
            _TITLE,
            Level.WARN,
            f"Postfix {version} has no defence against SMTP smuggling (CVE-2023-51764)",
            "upgrade Postfix, or set smtpd_data_restrictions=reject_unauth_pipelining",
        )
    if value.lower() == "no":
        return Finding(
            _TITLE,
            Level.WARN,
            f"Postfix {version} lets mails be smuggled in (CVE-2023-51764):"
            " smtpd_forbid_bare_newline = no",
            _ADVICE,
        )
    return Finding(_TITLE, Level.OK, f"Postfix {version}; smtpd_forbid_bare_newline = {value}")


def _ask(postconf: str, option: str, name: str) -> subprocess.CompletedProcess[str]:
    """Ask Postfix for *name*: it prints nothing where it does not know it."""
    return subprocess.run(  # noqa: S603 (nothing of it comes from outside)
        [postconf, option, name], capture_output=True, text=True, timeout=_PATIENCE, check=False
    )


CHECK = Check(title=_TITLE, rank=70, run=_run)
