"""What formats make of lines: events in the order of the log, the same for every MTA."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum, auto
from typing import NamedTuple


class Kind(IntEnum):
    """What an event says of a message in a queue."""

    BORN = auto()  # the queue id is taken, perhaps again
    MESSAGE_ID = auto()  # rest: the Message-ID
    SENDER = auto()  # rest: the reverse path
    RECEIVED = auto()  # rest: all of these at once, for LogFormat.received
    DELIVERY = auto()  # rest: for LogFormat.attempt
    EXPIRED = auto()  # every recipient that is still waiting has failed
    CANCELLED = auto()  # an operator made every recipient that is still waiting fail
    CHILD = auto()  # rest: queue id of the message that tells the sender
    GONE = auto()  # the queue id is free


class State(StrEnum):
    """How one attempt to deliver ended."""

    SENT = "sent"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    EXPIRED = "expired"  # it was deferred, and will not be tried again
    NOTED = "noted"  # an address probe, or an attempt that was put off: nothing happened


class Event(NamedTuple):
    """One line of a log. All bytes are as logged."""

    kind: Kind
    stamp: bytes
    host: bytes  # empty where the line has none
    instance: bytes  # the MTA's own name, where several run on one host; empty: it has none
    queue_id: bytes
    rest: bytes = b""
    times: int = 1  # how often it was logged


class Attempt(NamedTuple):
    """What a delivery line says, not yet decoded."""

    state: State
    final_recipient: bytes
    original_recipient: bytes  # empty where the line has none
    relay: bytes  # host[address]:port, or the name of a transport; empty where there is none
    status: bytes  # empty where the line has none
    text: bytes
    reverse_path: bytes | None = None  # None: the line does not say
    heir: bytes = b""  # queue id under which our own next MTA has the message; empty: none


class Received(NamedTuple):
    """What a line says of a message that came in."""

    reverse_path: bytes | None
    message_id: bytes
    parent: bytes  # queue id of the message that this one reports on; empty: it is no report
    recipients: tuple[bytes, ...] = ()  # empty where the line does not say


class Explained(NamedTuple):
    """The text of a failure, taken apart and decoded."""

    diagnostic_code: str
    command: str = ""
    remote_mta: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFormat:
    """How one MTA logs. Each module of this folder declares one."""

    title: str
    looks_like: Callable[[bytes], bool]  # whether a chunk may hold such lines; must be fast
    events: Callable[[bytes], Iterator[Event]]  # of a chunk of whole lines that starts with "\n"
    attempt: Callable[[bytes], Attempt | None]  # of the rest of a DELIVERY; None: not understood
    explain: Callable[[Attempt], Explained]
    received: Callable[[bytes], Received | None] = lambda rest: None
    reporter: str = ""  # local part of senders that report to the postmaster


def decoded(raw: bytes) -> str:
    """Return *raw* as text: UTF-8, or else Latin-1, which takes anything."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
