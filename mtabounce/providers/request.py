"""A webhook request as the inbox keeps it: a few headers, an empty line, the body. No secrets."""

import hashlib
from collections.abc import Mapping

from mtabounce.mask import harmless

_KEPT = ("content-type", "user-agent", "idempotency-key")
_KEPT_ENDS = ("-id", "-kid", "-attempt")  # svix-id, webhook-id, x-messagesystems-batch-id, …
_MAX = 500  # characters of one value
_SIGNED = "x-mtabounce-signed-id"  # ours: nobody else's header of this name is kept
USED = "the signature was used before, for another body"


def pack(headers: Mapping[str, str], body: bytes, signed: bytes = b"") -> bytes:
    """
    Return the request as one text; of *headers* (lower-case names) what helps to read it.

    *signed* is what its signature was made over, where that leaves out the body.
    """
    mark = [f"{_SIGNED}: {hashlib.sha256(signed).hexdigest()}\r\n"] if signed else []
    kept = mark + [
        f"{name}: {_on_a_line(value)}\r\n"
        for name, value in headers.items()
        if name in _KEPT or name.endswith(_KEPT_ENDS) or name.startswith("x-amz-sns-")
        if name != _SIGNED
    ]
    return "".join(kept).encode("utf-8", "replace") + b"\r\n" + body


def unpack(content: bytes) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of what pack() made. Total on any bytes."""
    if content.startswith(b"\r\n"):
        return {}, content[2:]
    head, found, body = content.partition(b"\r\n\r\n")
    if not found:
        return {}, content
    lines = (line.partition(": ") for line in head.decode("utf-8", "replace").split("\r\n"))
    return {name.lower(): value for name, colon, value in lines if colon}, body


def signature_of(content: bytes) -> tuple[bytes, bytes] | None:
    """
    Return hashes of what was signed and of the body, of what pack() made.

    None where the signature is good for its body alone.
    """
    if not content.startswith(_SIGNED.encode()):
        return None
    headers, body = unpack(content)
    return bytes.fromhex(headers[_SIGNED])[:16], hashlib.sha256(body).digest()[:16]


def _on_a_line(value: str) -> str:
    return harmless(value, " ")[:_MAX]
