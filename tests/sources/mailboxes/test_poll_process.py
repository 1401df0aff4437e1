"""``mtabounce poll`` as a process: killed, on a mailbox that is full, and beside broken ones."""

import asyncio
import json
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from mtabounce.doctor import Level, examine
from tests.sources.mailboxes import pop3_server as faults
from tests.sources.mailboxes.conftest import HUMAN, dsn

# Bounded, so that they end soon; 20 and 100000 were run by hand.
KILLS = int(os.environ.get("MTABOUNCE_TEST_KILLS", "4"))
MAILS = int(os.environ.get("MTABOUNCE_TEST_MAILS", "1500"))
GROWTH = 64 * 2**20  # octets that a full mailbox may cost beyond an empty one


class Command:
    """The command, on a database and mailboxes of its own."""

    def __init__(self, folder, url):
        self.config = folder / "mtabounce.toml"
        self.config.write_text(f'[database]\nurl = "{url}"\n[state]\ndirectory = "{folder}"\n')

    def add(self, **mailbox):
        lines = [f"{name} = {json.dumps(value)}\n" for name, value in mailbox.items()]
        with self.config.open("a") as file:
            file.write("[[pop3]]\n" + "".join(lines))

    async def start(self, *words):
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "mtabounce", "--config", str(self.config), "poll", *words),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *words):
        """Return the exit status, and what it printed."""
        process = await self.start(*words)
        said, complained = await process.communicate()
        return process.returncode, said.decode(), complained.decode()


@pytest.fixture
def command(tmp_path, database_url):
    return Command(tmp_path, database_url)


@pytest.fixture
def mailbox(section):
    return partial(section, timeout="5s")


def memory_of(pid):
    """Return the most that it, without its judging process, ever took, in octets; 0: it is over."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    except (OSError, IndexError):
        return 0


async def test_killed_between_commit_and_quit_stores_each_mail_once(
    server, command, mailbox, stored
):
    command.add(**mailbox())
    is_there = asyncio.Event()

    def stop_here(answer):
        is_there.set()
        return faults.hang(answer)

    stop_here.is_before_update = True
    everything = set(server.mails)
    for number in range(KILLS):
        fresh = {f"k{number}x{place}": dsn(f"k{number}x{place}") for place in range(3)}
        server.mails |= fresh
        everything |= set(fresh)
        is_there.clear()
        place = ("QUIT", 0) if number % 2 else ("DELE", number % 3 + 1, server.sessions + 1)
        server.faults = {place: stop_here}
        process = await command.start()
        async with asyncio.timeout(60):
            await is_there.wait()
        process.kill()
        await process.wait()

    assert set(server.mails) == everything  # nothing is deleted without QUIT
    server.faults = {}
    assert (await command.run())[0] == 0

    assert server.mails == {}
    assert sorted(await stored()) == sorted(everything)


async def test_first_run_over_a_full_mailbox_goes_on_after_a_restart(
    server, command, mailbox, stored
):
    command.add(**mailbox(session_timeout="20s"))
    server.mails = {}
    process = await command.start()
    empty = await peak_of(process)
    server.mails = {f"u{number}": dsn(f"u{number}") for number in range(MAILS)}

    process = await command.start()
    while server.fetched.total() < MAILS // 2:
        assert process.returncode is None
        await asyncio.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    assert len(server.mails) + len(set(await stored())) >= MAILS
    begun = time.monotonic()
    process = await command.start()
    full = await peak_of(process)
    print(f"{MAILS} mails: {full / 2**20:.0f} MiB, empty {empty / 2**20:.0f} MiB,"  # noqa: T201
          f" second half {time.monotonic() - begun:.0f} s")  # fmt: skip

    assert process.returncode == 0
    assert server.mails == {}
    found = await stored()
    assert (len(found), len(set(found))) == (MAILS, MAILS)
    assert max(server.fetched.values()) <= 2  # stored, and again before it was deleted
    assert full - empty < GROWTH


async def peak_of(process):
    """Return the most memory that *process* took until its end."""
    most = 0
    while process.returncode is None:
        most = max(most, memory_of(process.pid))
        await asyncio.sleep(0.02)
    await process.communicate()
    return most


async def test_one_mailbox_that_is_wrong_stops_no_other(
    server, command, mailbox, secret, tmp_path, stored
):
    server.mails["human"] = HUMAN
    open_to_all = secret("swordfish", "open")
    os.chmod(open_to_all, 0o644)  # noqa: PTH101 (in an async function)
    wrong = {
        "wrong": {"password_file": secret("wrong", "wrong")},
        "missing": {"password_file": str(tmp_path / "none")},
        "open": {"password_file": open_to_all},
        "break": {"password_file": secret("a\r\nDELE 1", "break")},
        "away": {"port": 1},
        "plain": {"tls": "implicit"},
    }
    for name, changes in wrong.items():
        command.add(name=name, **mailbox(username=name, **changes))
    command.add(name="good", **mailbox())

    planned = await command.run("good", "--dry-run")
    status, said, complained = await command.run()

    assert planned[0] == 0
    assert planned[1].splitlines()[:2] == [
        "delete  u0  bounce: u0@example.net",
        "delete  u1  bounce: u1@example.net",
    ]
    assert status == os.EX_TEMPFAIL, (said, complained)
    lines = dict(line.split(": ", 1) for line in complained.splitlines())
    assert list(lines) == list(wrong)
    assert "does not let wrong in: [AUTH] wrong" in lines["wrong"]
    assert "cannot read the secret in" in lines["missing"]
    assert "chmod 600" in lines["open"]
    assert "line break" in lines["break"]
    assert "localhost:1: " in lines["away"]
    assert "does not do TLS" in lines["plain"]
    assert said.startswith("good: 3 stored, 0 copies, 3 deleted, 1 other")
    assert (await stored(), list(server.mails)) == (["u0", "u1", "u2"], ["human"])

    findings = list(examine(command.config, only=["mailboxes"]))
    told = {one.text.partition(":")[0].split()[0]: one.level for one in findings}
    assert told == dict.fromkeys(wrong, Level.FAIL) | {"good": Level.OK}
