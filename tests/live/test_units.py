"""The units of contrib/systemd: systemd takes them, and the program can work as they let it."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.live.processes import run, wait_until
from tests.live.service import Service
from tests.logs.processes import AS_ROOT, POWERLESS, Proxy

UNITS = Path(__file__).parents[2] / "contrib" / "systemd"
# Forbids itself what the unit forbids, as systemd does, and becomes the program.
SANDBOX = """
import ctypes, errno, json, os, sys
seccomp = ctypes.CDLL("libseccomp.so.2")
seccomp.seccomp_init.restype = ctypes.c_void_p
filter = ctypes.c_void_p(seccomp.seccomp_init(0x00050000 | errno.EPERM))  # SCMP_ACT_ERRNO
for name in json.loads(sys.argv[1]):
    number = seccomp.seccomp_syscall_resolve_name(name.encode())
    if number >= 0:  # of this architecture
        assert seccomp.seccomp_rule_add(filter, 0x7FFF0000, number, 0) == 0  # SCMP_ACT_ALLOW
assert seccomp.seccomp_load(filter) == 0
os.execv(sys.argv[2], sys.argv[2:])
"""

pytestmark = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd-analyze is not here"
)


def settings_of(unit, name):
    lines = (UNITS / unit).read_text().splitlines()
    return [line.partition("=")[2] for line in lines if line.startswith(f"{name}=")]


def system_calls(group):
    """Return the names of the system calls of *group*, such as "@resources"; or of one alone."""
    if not group.startswith("@"):
        return {group}
    _, *lines = run("systemd-analyze", "syscall-filter", group).split("\n")
    members = [line.strip() for line in lines if not line.strip().startswith("#")]
    return set().union(*map(system_calls, filter(None, members)))


def allowed_by(unit):
    allowed = set()
    for line in settings_of(unit, "SystemCallFilter"):
        named = set().union(*map(system_calls, line.removeprefix("~").split()))
        allowed = allowed - named if line.startswith("~") else allowed | named
    return sorted(allowed)


@pytest.mark.parametrize("unit", sorted(path.name for path in UNITS.glob("mtabounce*")))
def test_systemd_takes_the_unit(tmp_path, unit):
    for path in UNITS.glob("mtabounce*"):
        text = path.read_text().replace("/opt/mtabounce/.venv/bin/mtabounce", sys.executable)
        (tmp_path / path.name).write_text(text.replace("/usr/sbin/postmap", sys.executable))

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / unit],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert [line for line in done.stderr.splitlines() if unit in line] == []


def test_service_judges_mails_with_the_system_calls_that_its_unit_allows(folder, database_url):
    service = Service(folder / "service", more=f"[database]\nurl = {json.dumps(database_url)}\n")
    allowed = json.dumps(allowed_by("mtabounce.service"))
    service.command[:0] = [sys.executable, "-c", SANDBOX, allowed]

    with service:
        service.run("simulate")
        wait_until(
            lambda: len(service.query("SELECT FROM mtabounce.bounces")) == 4,
            "the mails are judged",
            details=service.log,
        )

        assert "says that all its parts are well" in service.run("doctor", "service")

    assert "Traceback" not in service.log()


@AS_ROOT
def test_doctor_tells_of_a_log_that_the_service_may_not_read(folder, database_url):
    path = folder / "mail.log"
    path.write_text("")
    path.chmod(0o600)
    os.chown(path, 65534, 65534)
    proxy = Proxy(database_url)  # powerless, it may not enter the place of the socket
    service = Service(
        folder / "service", logs=[path], more=f"[database]\nurl = {json.dumps(proxy.url)}\n"
    )
    doctor = [*service.command, "doctor", "service"]
    service.command[:0] = POWERLESS

    def diagnosis():
        return subprocess.run(doctor, capture_output=True, text=True, check=False).stdout

    with closing(proxy), service:
        wait_until(lambda: "Permission denied" in diagnosis(), "it is told", details=diagnosis)

        assert f"{path}: Permission denied" in diagnosis()
        assert "usermod --append --groups adm mtabounce" in diagnosis()
