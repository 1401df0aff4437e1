"""An SMTP server on loopback that treats each recipient domain as the test says."""

import re
import socket
import struct
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Self

from tests.live.processes import LOOPBACK

_PATH = re.compile(r"(?:FROM|TO):\s*<([^>]*)>", re.IGNORECASE)


class Then(Enum):
    """What the server does with the connection after its answer."""

    GO_ON = auto()
    CLOSE = auto()
    RESET = auto()  # without any answer
    STALL = auto()  # without any answer


@dataclass(frozen=True)
class Answer:
    """The answer to a recipient. ``{to}`` stands for its address."""

    reply: str = "250 2.1.5 Ok"
    then: Then = Then.GO_ON
    after_data: bool = False  # given to the mail's end instead of RCPT TO


@dataclass(frozen=True)
class Mail:
    """One mail that was accepted."""

    reverse_path: str
    forward_paths: tuple[str, ...]
    content: bytes


class FakeMX(ThreadingTCPServer):
    """The server. Domains without an answer are accepted, and kept in ``mails``."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        super().__init__((LOOPBACK, 0), _Session)
        self.answers = answers
        self.mails: list[Mail] = []
        self.is_closing = threading.Event()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.is_closing.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        """Say nothing: broken connections are what this server is for."""

    def answer(self, address: str) -> Answer:
        return self.answers.get(address.rpartition("@")[2].lower(), Answer())


class _Session(StreamRequestHandler):
    server: FakeMX

    def handle(self) -> None:
        self._begin()
        with suppress(OSError):
            self._say("220 mx.example.net ESMTP")
            while line := self.rfile.readline(65536).decode("utf-8", "replace").strip():
                verb = line[:4].upper()
                obey = getattr(self, f"_{verb.lower()}", self._other)
                if not obey(line):
                    return

    def _begin(self, reverse_path: str = "") -> None:
        self.reverse_path = reverse_path
        self.forward_paths: list[str] = []

    def _say(self, reply: str) -> bool:
        self.wfile.write(f"{reply}\r\n".encode())
        return True

    def _give(self, answer: Answer, to: str) -> bool:
        """Answer; return whether the session goes on."""
        if answer.then is Then.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.rfile.close()
            self.connection.close()
            return False
        if answer.then is Then.STALL:
            self.server.is_closing.wait(60)
            return False
        self._say(answer.reply.format(to=to))
        return answer.then is Then.GO_ON

    def _ehlo(self, _: str) -> bool:
        return self._say("250-mx.example.net\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8")

    def _mail(self, line: str) -> bool:
        self._begin(_path(line))
        return self._say("250 2.1.0 Ok")

    def _rcpt(self, line: str) -> bool:
        to = _path(line)
        answer = self.server.answer(to)
        if answer.after_data or answer == Answer():
            self.forward_paths.append(to)
            return self._say("250 2.1.5 Ok")
        return self._give(answer, to)

    def _data(self, _: str) -> bool:
        if not self.forward_paths:
            return self._say("554 5.5.1 no valid recipients")
        self._say("354 go on")
        content = b"".join(iter(self._body_line, b".\r\n"))
        answer = self.server.answer(self.forward_paths[0])
        if not answer.after_data:
            mail = Mail(self.reverse_path, tuple(self.forward_paths), content)
            self.server.mails.append(mail)
            answer = Answer("250 2.0.0 Ok")
        return self._give(answer, self.forward_paths[0])

    def _body_line(self) -> bytes:
        if line := self.rfile.readline(65536):
            return line if line == b".\r\n" else line.removeprefix(b".")
        raise ConnectionResetError("the client went away within a mail")

    def _rset(self, _: str) -> bool:
        self._begin()
        return self._say("250 2.0.0 Ok")

    def _quit(self, _: str) -> bool:
        self._say("221 2.0.0 Bye")
        return False

    def _other(self, _: str) -> bool:
        return self._say("500 5.5.2 not known here")


def _path(line: str) -> str:
    found = _PATH.search(line)
    return found[1] if found else ""
