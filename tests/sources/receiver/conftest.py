import asyncio
import contextlib
import subprocess
from dataclasses import dataclass, field

import pytest
import uvloop

from mtabounce.sources.receiver import Receiver
from mtabounce.sources.receiver_settings import ReceiverSettings

OURS = "bounces@b.example.org"


def pytest_asyncio_loop_factories(config, item):
    """Run all on both loops: the daemon has uvloop, whose transports differ in small things."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@dataclass
class Client:
    """Says exactly what it is told to, and hears what comes back."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    greeting: str = ""

    def send(self, *lines):
        self.send_bytes(b"".join(line.encode() + b"\r\n" for line in lines))

    def send_bytes(self, content):
        self.writer.write(content)

    async def hear(self):
        """Return one reply, its lines joined by a bar; "" at the end of the connection."""
        lines = []
        while True:
            try:
                line = (await asyncio.wait_for(self.reader.readline(), 10)).decode()
            except ConnectionError:
                return ""
            lines.append(line.rstrip("\r\n"))
            if line[3:4] != "-":
                return "|".join(lines)

    async def hear_all(self):
        """Return all replies until the connection ends."""
        replies = []
        while reply := await self.hear():
            replies.append(reply)
        return replies

    async def ask(self, line):
        self.send(line)
        return await self.hear()

    async def begin(self, *recipients, sender="<>", hello="EHLO"):
        """Get as far as DATA; return the reply to it."""
        assert (await self.ask(f"{hello} client.example")).startswith("250")
        assert (await self.ask(f"MAIL FROM:{sender}")).startswith("250")
        for recipient in recipients or (OURS,):
            assert (await self.ask(f"RCPT TO:<{recipient}>")).startswith("250")
        return await self.ask("DATA")

    async def deliver(self, content, *recipients, **options):
        """Deliver one mail, dots added already; return the last reply."""
        assert (await self.begin(*recipients, **options)).startswith("354")
        self.send_bytes(content + b"\r\n.\r\n")
        return await self.hear()

    async def close(self):
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


@dataclass
class Running:
    """A receiver, what it took, and the clients it has."""

    receiver: Receiver
    kept: list
    clients: list = field(default_factory=list)

    async def connect(self, address=None):
        where = address or self.receiver.addresses[0]
        if "/" in where:
            streams = await asyncio.open_unix_connection(where)
        else:
            host, _, port = where.rpartition(":")
            streams = await asyncio.open_connection(host.strip("[]"), int(port))
        client = Client(*streams)
        self.clients.append(client)
        client.greeting = await client.hear()
        return client

    async def is_idle(self):
        """Wait until no session and no task of one is left; False where one stays."""
        for _ in range(200):
            if not self.receiver.sessions:
                return True
            await asyncio.sleep(0.05)
        return False


@pytest.fixture
async def start():
    """A function that starts a receiver; *accept* may stand in for the inbox."""
    all_running = []

    async def run(accept=None, is_ours=None, **settings):
        kept = []

        async def keep(raw):
            kept.append(raw)

        settings.setdefault("listen", ["127.0.0.1:0"])
        receiver = Receiver(ReceiverSettings(**settings), accept or keep, is_ours)
        running = Running(receiver, kept)
        await receiver.start()
        all_running.append(running)
        return running

    yield run
    for running in all_running:
        for client in running.clients:
            await client.close()
        await running.receiver.close(grace=1)


@pytest.fixture
def quick(monkeypatch):
    """Let the receiver look after its sessions ten times a second."""
    monkeypatch.setattr("mtabounce.sources.receiver._TICK", 0.1)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A function that makes a self-signed certificate for a name: its file, and its key's."""

    def make(name):
        folder = tmp_path_factory.mktemp(name)
        command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
        files = ["-subj", f"/CN={name}", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
        subprocess.run([*command.split(), *files], check=True, capture_output=True)
        return folder / "cert.pem", folder / "key.pem"

    return make
