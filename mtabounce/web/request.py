"""One request, read within its limits, as authentication and providers take it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest

BODY_TIME = 10.0  # seconds that a client gets for its body
RETRY_AFTER = {"Retry-After": "30"}  # where the trouble is ours


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
    headers = {name.lower(): value for name, value in request.headers.items()}
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Refused(415, "send the body as it is, not packed")
    length = headers.get("content-length", "0")
    if not length.isascii() or not length.isdecimal() or int(length[:20]) > limit:
        raise Refused(413, "the body is too large")
    try:
        async with asyncio.timeout(BODY_TIME):
            body = await _body(request, limit)
    except TimeoutError:
        raise Refused(408, "the body came too slowly") from None
    except ClientDisconnect:
        raise Refused(400, "the client went away") from None
    query = dict(request.query_params)
    return Posted(headers=headers, query=query, body=body, peer=peer_of(request))


def peer_of(request: HttpRequest) -> str:
    """Return who asks: an IP address, or "unix"."""
    return request.client.host if request.client else "unix"


async def _body(request: HttpRequest, limit: int) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise Refused(413, "the body is too large")
        chunks.append(chunk)
    return b"".join(chunks)
