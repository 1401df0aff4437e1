import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mtabounce.sources.pipe import Pipe
from mtabounce.sources.pipe_settings import PipeSettings

MAIL = b"From: MAILER-DAEMON@mx\nSubject: Undelivered\n\n.dot\n..\n\r\n.\r\n\xff end"


@dataclass
class Daemon:
    """The listening half, with an inbox that keeps, or refuses."""

    folder: Path
    kept: list = field(default_factory=list)
    refuses: Exception | None = None
    pipe: Pipe | None = None

    async def accept(self, raw):
        if self.refuses:
            raise self.refuses
        self.kept.append(raw)

    async def start(self, **settings):
        known = {"socket": self.folder / "pipe.sock", **settings}
        size = known.pop("max_size", 10 * 2**20)
        self.pipe = Pipe(PipeSettings(**known), self.folder, self.accept, size)
        await self.pipe.start()


@pytest.fixture
async def daemon():
    with tempfile.TemporaryDirectory() as folder:
        daemon = Daemon(Path(folder))
        yield daemon
        if daemon.pipe:
            await daemon.pipe.close(1)


def pipe(*words, mail=MAIL, config="", **environ):
    """Start the command; wait for it with communicate()."""
    known = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    options = ["--config", str(config)] if config else []
    process = subprocess.Popen(
        [sys.executable, "-m", "mtabounce", *options, "pipe", *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**known, **environ},
        cwd=Path(__file__).parents[3],
    )
    if mail is not None:
        process.stdin.write(mail)
        process.stdin.close()
        process.stdin = None
    return process


async def ended(process):
    """Return the exit status, and what the command said."""
    import asyncio

    said = await asyncio.to_thread(process.communicate)
    return process.returncode, said[1].decode()
