"""What formats make of lines, the same for every MTA."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, StrEnum, auto
from typing import NamedTuple

# One line of a log that tells of a message: what the groups of a format's pattern caught, empty
# where there is nothing. There are millions of these, so they are plain tuples of bytes as logged:
#   stamp
#   place      host and perhaps the instance, as Key begins
#   two marks, each format's own
#   repeated   that syslog put equal lines together, see _syslog.times_of()
#   queue_id
#   recipient, path, relay
#              of a delivery that was plainly sent, and arrived: " P=<" and the reverse path, where
#              the line has it; a relay without its address
#   sender     one character, and the reverse path
#   told       what comes after the sender, or in its place, and holds the Message-ID
#   rest       all that must be looked at closely, for LogFormat.told
# A line without any of the last six says that the queue id is free again.
Line = tuple[bytes, ...]

# What one message is known by in a log: the host (empty where the line has none) and a blank; the
# MTA's own name, where several run on one host, and a slash; the queue id. No part has these in it.
Key = bytes


def parts_of(key: Key) -> tuple[bytes, bytes, bytes]:
    """Return host, instance and queue id of *key*; empty where the line had none."""
    host, _, rest = key.partition(b" ")
    instance, _, queue_id = rest.rpartition(b"/")
    return host, instance, queue_id


def place_of(key: Key) -> bytes:
    """Return *key* without its queue id."""
    return key[: max(key.rfind(b"/"), key.rfind(b" ")) + 1]


def key_of(host: bytes, instance: bytes, queue_id: bytes) -> Key:
    """Return what a message is known by."""
    return host + b" " + (instance + b"/" if instance else b"") + queue_id


class Kind(IntEnum):
    """What a line says that must be looked at closely."""

    DELIVERY = auto()  # value: for LogFormat.attempt
    SENDER = auto()  # value: the reverse path
    RECEIVED = auto()  # value: nothing that could be read
    EXPIRED = auto()  # every recipient that is still waiting has failed
    CANCELLED = auto()  # every recipient that is still waiting was made to fail; value: why


class State(StrEnum):
    """How one attempt to deliver ended."""

    SENT = "sent"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    EXPIRED = "expired"  # it was deferred, and will not be tried again
    NOTED = "noted"  # an address probe, or an attempt that was put off: nothing happened


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
    lines: Callable[[bytes], list[Line]]  # of a chunk of whole lines that starts with "\n"
    told: Callable[[bytes], tuple[Kind, bytes]]  # what the rest of a line says
    attempt: Callable[[bytes], Attempt | None]  # of a DELIVERY; None: not understood
    explain: Callable[[Attempt], Explained]
    message_id: Callable[[bytes], bytes]  # in what was told; it may be anything, or empty
    # Who is named in what was told; what was sent needs neither this nor a Message-ID, so both are
    # asked for only where they may matter.
    recipients: Callable[[bytes], frozenset[bytes]] = lambda told: frozenset()
    reporter: str = ""  # local part of senders that report to the postmaster


def decoded(raw: bytes) -> str:
    """Return *raw* as text: UTF-8, or else Latin-1, which takes anything."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
