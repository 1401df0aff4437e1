"""What formats make of lines: events in the order of the log, the same for every MTA."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, StrEnum, auto
from typing import NamedTuple


class Kind(IntEnum):
    """What an event says of a message in a queue."""

    MESSAGE_ID = auto()  # rest: the Message-ID, perhaps in angle brackets
    SENDER = auto()  # rest: the reverse path
    RECEIVED = auto()  # rest: all of these at once, for LogFormat.received
    DELIVERY = auto()  # rest: for LogFormat.attempt
    EXPIRED = auto()  # every recipient that is still waiting has failed
    CANCELLED = auto()  # an operator made every recipient that is still waiting fail
    GONE = auto()  # the queue id is free


class State(StrEnum):
    """How one attempt to deliver ended."""

    SENT = "sent"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    EXPIRED = "expired"  # it was deferred, and will not be tried again
    NOTED = "noted"  # an address probe, or an attempt that was put off: nothing happened


# What one message is known by in a log: host (empty where the line has none), instance (the MTA's
# own name, where several run on one host; empty: it has none), queue id.
Key = tuple[bytes, bytes, bytes]
# One line of a log: kind, stamp, key, rest, how often it was logged. All bytes are as logged. There
# are millions of these, so they are plain tuples.
Event = tuple[Kind, bytes, Key, bytes, int]


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
    arrived: bool = False  # sent, and to where the recipient's mail is: not to a filter, or nowhere


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
    events: Callable[[bytes], list[Event]]  # of a chunk of whole lines that starts with "\n"
    # Recipient, relay without address, reverse path (None: not said) of a DELIVERY that was
    # plainly sent, and arrived; None for all that must be looked at closely.
    sent: Callable[[bytes], tuple[bytes, bytes, bytes | None] | None]
    attempt: Callable[[bytes], Attempt | None]  # of the rest of a DELIVERY; None: not understood
    explain: Callable[[Attempt], Explained]
    # Reverse path (None: not said) and recipients (none: not said) of a RECEIVED; what was sent
    # needs no Message-ID, so it is asked for only where something failed.
    received: Callable[[bytes], tuple[bytes | None, frozenset[bytes]]] = lambda rest: (
        None,
        frozenset(),
    )
    message_id: Callable[[bytes], bytes] = lambda rest: b""  # of the rest of a RECEIVED
    reporter: str = ""  # local part of senders that report to the postmaster


def decoded(raw: bytes) -> str:
    """Return *raw* as text: UTF-8, or else Latin-1, which takes anything."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
