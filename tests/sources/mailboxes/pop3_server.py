"""A POP3 server that keeps to RFC 1939 but where it is told not to: DELE counts at QUIT only."""

import asyncio
import base64
import ssl
from collections import Counter
from dataclasses import dataclass, field

FOREVER = 3600.0


class Hang(Exception):
    """Say nothing more, and leave the connection open."""


class Drop(Exception):
    """Close the connection."""


@dataclass
class Server:
    """
    The server, and what is in its mailbox: uid → mail.

    *faults* are functions by (command, session) or (command, ordinal, session), 0 for any; each
    gets the answer as it should be, and returns the one to send, or raises Hang or Drop.
    """

    mails: dict[str, bytes]
    faults: dict = field(default_factory=dict)
    has_uidl: bool = True
    has_stls: bool = False
    tls: ssl.SSLContext | None = None
    is_implicit: bool = False
    password: str = "swordfish"
    port: int = 0
    sessions: int = 0
    heard: list[str] = field(default_factory=list)
    fetched: Counter = field(default_factory=Counter)
    deletes_at_quit: object = staticmethod(lambda doomed: doomed)
    _tasks: set = field(default_factory=set)

    async def start(self):
        context = self.tls if self.is_implicit else None
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        self.sessions += 1
        self._tasks.add(asyncio.current_task())
        session = _Session(self, self.sessions, reader, writer)
        try:
            await session.run()
        except (Drop, ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        except (Hang, asyncio.CancelledError):
            with_reader = asyncio.create_task(reader.read())
            await asyncio.wait([with_reader], timeout=FOREVER)
            with_reader.cancel()
        finally:
            writer.transport.abort()


class _Session:
    def __init__(self, server, number, reader, writer):
        self.server, self.number, self.reader, self.writer = server, number, reader, writer
        self.count = Counter()
        self.uids = list(server.mails)
        self.doomed = []

    async def run(self):
        await self.send("CONNECT", b"+OK <1.2@test> ready\r\n")
        while True:
            line = (await self.reader.readuntil(b"\r\n"))[:-2].decode()
            self.server.heard.append(line)
            verb, _, arg = line.partition(" ")
            answer = getattr(self, f"do_{verb.lower()}", self.unknown)(arg)
            await self.send(verb, answer)
            if verb == "STLS" and answer.startswith(b"+OK"):
                await self.writer.start_tls(self.server.tls)
            if verb == "QUIT":
                raise Drop

    async def send(self, verb, answer):
        self.count[verb] += 1
        for key in ((verb, self.number), (verb, 0), (verb, self.count[verb], self.number)):
            if key in self.server.faults:
                answer = self.server.faults[key](answer)
                break
        if callable(answer):
            await answer(self.writer)
        else:
            self.writer.write(answer)
            await self.writer.drain()

    def unknown(self, arg):
        return b"-ERR unknown\r\n"

    def do_stls(self, arg):
        return b"+OK go\r\n" if self.server.has_stls else b"-ERR unknown\r\n"

    def do_user(self, arg):
        return b"+OK\r\n"

    def do_pass(self, arg):
        return b"+OK\r\n" if arg == self.server.password else b"-ERR [AUTH] wrong\r\n"

    def do_auth(self, arg):
        async def challenge(writer):
            writer.write(b"+ \r\n")
            said = base64.b64decode(await self.reader.readline()).decode()
            if said == f"user=bounces\x01auth=Bearer {self.server.password}\x01\x01":
                writer.write(b"+OK\r\n")
                return
            writer.write(b"+ eyJzdGF0dXMiOiI0MDAifQ==\r\n")
            await self.reader.readline()
            writer.write(b"-ERR [AUTH] no\r\n")

        return challenge

    def do_list(self, arg):
        return self.listed(lambda uid: str(len(self.server.mails[uid])))

    def do_uidl(self, arg):
        return self.listed(str) if self.server.has_uidl else b"-ERR no\r\n"

    def listed(self, value):
        lines = [f"{n} {value(uid)}\r\n" for n, uid in enumerate(self.uids, 1)]
        return ("+OK\r\n" + "".join(lines) + ".\r\n").encode()

    def do_retr(self, arg):
        uid = self.uids[int(arg) - 1]
        self.server.fetched[uid] += 1
        mail = self.server.mails[uid].replace(b"\r\n.", b"\r\n..")
        mail = (b"." if mail[:1] == b"." else b"") + mail.removesuffix(b"\r\n")
        return b"+OK\r\n" + mail + b"\r\n.\r\n"

    def do_noop(self, arg):
        return b"+OK\r\n"

    def do_dele(self, arg):
        self.doomed.append(self.uids[int(arg) - 1])
        return b"+OK\r\n"

    def do_quit(self, arg):
        def update():
            for uid in self.server.deletes_at_quit(self.doomed):
                self.server.mails.pop(uid, None)

        fault = self.server.faults.get(("QUIT", self.number)) or self.server.faults.get(("QUIT", 0))
        if getattr(fault, "is_before_update", False):
            fault(b"")
            raise Drop
        update()
        return b"+OK bye\r\n"


def drop(_):
    raise Drop


def hang(_):
    raise Hang


def drop_before_update(answer):
    return answer


drop_before_update.is_before_update = True


def refuse(text):
    return lambda _: f"-ERR {text}\r\n".encode()


def partial(answer):
    async def send(writer):
        writer.write(answer[: len(answer) // 2])
        await writer.drain()
        raise Drop

    return send


def garbage(_):
    return b"\x00\xff\x80 not pop3 \r\n" * 3


def without_end(answer):
    return answer.removesuffix(b".\r\n")


def not_stuffed(answer):
    head, _, mail = answer.partition(b"\r\n")
    return head + b"\r\n" + mail[:40] + b"\r\n.\r\n" + mail[40:]


def long_line(size):
    return lambda answer: answer.removesuffix(b".\r\n") + b"L" * size + b"\r\n.\r\n"


def flood(_):
    async def send(writer):
        writer.write(b"+OK\r\n")
        while True:
            writer.write((b"a" * 65_000 + b"\r\n") * 16)
            await writer.drain()

    return send


def slow(answer):
    async def send(writer):
        for octet in answer:
            writer.write(bytes([octet]))
            await writer.drain()
            await asyncio.sleep(0.4)

    return send


def all_the_same(answer):
    lines = answer.split(b"\r\n")[1:-2]
    return b"+OK\r\n" + b"".join(line.split()[0] + b" SAME\r\n" for line in lines) + b".\r\n"
