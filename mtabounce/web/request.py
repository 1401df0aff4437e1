"""One request, read within its limits, as authentication and providers take it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request as HttpRequest
from starlette.types import Receive, Scope

from mtabounce.web.patience import Patience

BODY_TIME = 10.0  # seconds that a client gets for its body
RETRY_AFTER = {"Retry-After": "30"}  # where the trouble is ours
CHALLENGE = {"WWW-Authenticate": 'Basic realm="mtabounce"'}  # SNS waits for it
LARGEST_ID = 2**63 - 1  # that PostgreSQL counts to
MAX_QUERY = 100  # fields


class Refused(Exception):
    """A request that is not taken: *status* and, for the log and the client, why."""

    def __init__(self, status: int, why: str, retry_after: int | None = None) -> None:
        super().__init__(why)
        self.status = status
        self.retry_after = retry_after  # seconds; None: it says nothing of that

    def headers(self) -> dict[str, str]:
        """Return the headers of the answer."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A request whose body has been read."""

    headers: Mapping[str, str]  # lower-case names; of a repeated one, the last
    query: Mapping[str, str]
    body: bytes
    peer: str = ""


async def read_request(request: HttpRequest, limit: int) -> Posted:
    """
    Read *request*, of at most *limit* octets.

    Raises Refused where it is too large, too slow, or packed.
    """
    return await read(request.scope, request.receive, limit, Patience(BODY_TIME))


async def read(scope: Scope, receive: Receive, limit: int, patience: Patience) -> Posted:
    """
    Do the same with what ASGI gives, without a framework's objects: for what must be quick.

    *patience* is how long the body may take. Raises Refused likewise.
    """
    headers = headers_of(scope)
    if "content-encoding" in headers and not _is_plain(headers["content-encoding"]):
        raise Refused(415, "send the body as it is, not packed")
    length = headers.get("content-length", "0")
    if not length.isascii() or not length.isdecimal() or int(length[:20]) > limit:
        raise Refused(413, "the body is too large")
    try:
        with patience():
            body = await _body(receive, limit)
    except TimeoutError:
        raise Refused(408, "the body came too slowly") from None
    return Posted(
        headers=headers,
        query=_query(scope) if scope["query_string"] else {},
        body=body,
        peer=peer_of(scope),
    )


def _is_plain(encoding: str) -> bool:
    return encoding.strip().lower() == "identity"


def peer_of(scope: Mapping[str, Any]) -> str:
    """Return who asks: an IP address, or "unix"."""
    client = scope.get("client")
    return str(client[0]) if client else "unix"


def headers_of(scope: Scope) -> dict[str, str]:
    """Return the headers of a request: names in lower case, as ASGI has them; the last counts."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


async def _body(receive: Receive, limit: int) -> bytes:
    chunks, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "the client went away")
        chunk, more = message.get("body", b""), message.get("more_body", False)
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            raise Refused(413, "the body is too large")
    return b"".join(chunks)


def _query(scope: Scope) -> dict[str, str]:
    try:
        text = scope["query_string"].decode("latin-1")
        return dict(parse_qsl(text, True, max_num_fields=MAX_QUERY))
    except ValueError:
        raise Refused(400, "the query has too many fields") from None
