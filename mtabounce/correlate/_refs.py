"""What a bounce is known by."""

import hashlib
import re
from dataclasses import dataclass, replace

from mtabounce.model import Report

_EXIM_ID = re.compile(r"\w{6}-(?:\w{6}-\w\w|\w{11}-\w{4})", re.ASCII)
_ADDRESS = re.compile(r"\[?(?:[\d.]+|[\da-f:.]*:[\da-f:.]*)\]?")


@dataclass(frozen=True, slots=True)
class Ref:
    """One thing that a bounce is known by."""

    key: bytes  # 16 bytes: digest of kind, identifier and recipient
    kind: str  # return_path, envelope_id, message_id, queue_id or mail
    claim: bytes = b""  # key by which one original recipient has the final one to itself


def queue_of(report: Report) -> str:
    """
    Return what the message is known by in the queue of its host; "" where that is not known.

    A log has the short name of the host where a DSN has the long one. Exim's ids hold the time
    and the process: there is no second one on another host.
    """
    if not report.queue_id or _EXIM_ID.fullmatch(report.queue_id):
        return report.queue_id
    host = report.reporting_mta.lower()
    label = host if _ADDRESS.fullmatch(host) else host.partition(".")[0]
    return f"{label} {report.queue_id}"


def ref_of(kind: str, identifier: str, recipient: str) -> Ref:
    """Return what a bounce of *recipient* is known by: an *identifier* of this *kind*."""
    return Ref(text_digest(kind, identifier, recipient), kind)


def refs_of_final(kind: str, identifier: str, final: str) -> tuple[Ref, Ref]:
    """
    Return the refs of *final*, which mail to another recipient was passed on to.

    One is its own, the other tells whose it is: several may have forwarded the same message to it,
    and the first one has it.
    """
    claim = text_digest(kind, identifier, final, "final")
    return replace(ref_of(kind, identifier, final), claim=claim), Ref(claim, kind, claim)


def text_digest(*parts: str) -> bytes:
    """Return 16 bytes that stand for *parts*."""
    return digest("\0".join(parts).encode(errors="replace"))


def digest(*parts: bytes) -> bytes:
    """Return 16 bytes that stand for *parts*."""
    return hashlib.sha256(b"\0".join(parts)).digest()[:16]
