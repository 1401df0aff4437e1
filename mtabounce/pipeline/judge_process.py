"""
The process that judges: it reads mails on standard input and answers on standard output.

It imports no more than it takes to parse and classify. Frames are pickles behind their length,
which is what the parent, and nobody else, writes and reads.
"""

import ctypes
import os
import pickle
import resource
import signal
import struct
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from mtabounce import classify
from mtabounce.model import HeaderNames, Judged
from mtabounce.pipeline.judge import Judge
from mtabounce.providers import Provider

LENGTH = struct.Struct(">Q")
READY = "ready"  # the first answer: from now on deadlines count
NO_MEMORY = 12  # exit status (ENOMEM): an input was too large even to be taken
_PR_SET_PDEATHSIG = 1  # prctl(2)
_NICE = 10  # receiving comes first: a mail in the inbox can wait, a client cannot


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """What the parsers and the classifier need to know."""

    names: HeaderNames = field(default_factory=HeaderNames)
    rules: Path | None = None  # folder of the user's own rules; None: there are none
    types: Mapping[str, str] = field(default_factory=dict)  # reason → type, over the shipped ones
    providers: Mapping[str, Provider] = field(default_factory=dict)  # by the webhook's name

    def judge(self) -> Judge:
        """Load the rules. Raises ConfigError where one of them is wrong."""
        return Judge(classify.load(self.rules, self.types), self.names, self.providers)


def frame(value: object) -> bytes:
    """Return *value* as it goes through the pipe."""
    packed = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    return LENGTH.pack(len(packed)) + packed


def main() -> None:
    """Answer every mail on standard input until its end."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # never outlive the parent
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # sent to all of us; the parent closes the pipe
    with suppress(OSError):  # a sandbox may forbid it, and judging matters more
        os.nice(_NICE)
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    settings, memory = _receive(source)
    judge = settings.judge()
    judge.judge(b"")  # whatever is made at first use is made now
    _limit_memory(memory)
    sink.write(frame(READY))
    sink.flush()
    try:
        while True:
            sink.write(frame(_judged(judge, *_receive(source))))
            sink.flush()
    except EOFError:
        return
    except MemoryError:
        sys.exit(NO_MEMORY)


def _receive(source: BinaryIO) -> Any:
    head = source.read(LENGTH.size)
    if len(head) < LENGTH.size:
        raise EOFError
    return pickle.loads(source.read(LENGTH.unpack(head)[0]))  # noqa: S301 (from our parent)


def _judged(judge: Judge, source: str, content: bytes) -> Judged | str:
    try:
        return judge.judge(content, source)
    except MemoryError:
        return "too much memory"
    except Exception as error:  # noqa: BLE001 (the input is hostile; the process must live)
        return f"error: {type(error).__name__}: {error}".replace("\n", " ")[:500]


def _limit_memory(more: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    main()
