"""One request, read within its limits, as authentication and providers take it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request as HttpRequest
from starlette.types import Receive, Scope

BODY_TIME = 10.0  # seconds that a client gets for its body
RETRY_AFTER = {"Retry-After": "30"}  # where the trouble is ours
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
    return await read(request.scope, request.receive, limit)


async def read(scope: Scope, receive: Receive, limit: int) -> Posted:
    """
    Do the same with what ASGI gives, without a framework's objects: for what must be quick.

    Raises Refused likewise.
    """
    headers = headers_of(scope)
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Refused(415, "send the body as it is, not packed")
    length = headers.get("content-length", "0")
    if not length.isascii() or not length.isdecimal() or int(length[:20]) > limit:
        raise Refused(413, "the body is too large")
    try:
        async with asyncio.timeout(BODY_TIME):
            body = await _body(receive, limit)
    except TimeoutError:
        raise Refused(408, "the body came too slowly") from None
    return Posted(
        headers=headers,
        query=_query(scope),
        body=body,
        peer=peer_of(scope),
    )


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
        chunks.append(message.get("body", b""))
        size, more = size + len(chunks[-1]), message.get("more_body", False)
        if size > limit:
            raise Refused(413, "the body is too large")
    return b"".join(chunks)


def _query(scope: Scope) -> dict[str, str]:
    try:
        text = scope["query_string"].decode("latin-1")
        return dict(parse_qsl(text, True, max_num_fields=MAX_QUERY)) if text else {}
    except ValueError:
        raise Refused(400, "the query has too many fields") from None
