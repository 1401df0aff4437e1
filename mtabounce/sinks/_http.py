"""Requests to others: no redirects, an answer of bounded size, a deadline."""

import asyncio
import json
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from mtabounce.sinks import NotTaken
from mtabounce.sinks._settings import SinkSettings

_LONGEST = 1 << 20  # bytes of an answer


async def request(
    sink: SinkSettings,
    method: str,
    path: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> Any:
    """
    Send a request to *path* under the URL of *sink*; return the JSON of the answer, None for none.

    Raises NotTaken where there is no answer, or one other than 2xx.
    """
    return await asyncio.to_thread(_request, sink, method, path, body, headers or {})


def credentials(sink: SinkSettings) -> dict[str, str]:
    """Return the header that says who we are (RFC 7617)."""
    return {"Authorization": f"Basic {sink.login}"}


def as_body(value: object) -> bytes:
    """Return *value* as JSON."""
    return json.dumps(value, ensure_ascii=False).encode()


def _request(
    sink: SinkSettings, method: str, path: str, body: bytes, headers: Mapping[str, str]
) -> Any:
    url, timeout = urlsplit(sink.url), sink.timeout.total_seconds()
    secure = url.scheme == "https"
    kind = HTTPSConnection if secure else HTTPConnection
    try:
        connection = kind(url.hostname or "", url.port, timeout=timeout)
        try:
            target = url.path.rstrip("/") + path + (f"?{url.query}" if url.query else "")
            known = {"User-Agent": "mtabounce", **headers}
            if body:  # without one, the type of nothing is bad JSON to Mailman
                known = {"Content-Type": "application/json", **known}
            connection.request(method, target or "/", body, known)
            answer = connection.getresponse()
            content = answer.read(_LONGEST)
        finally:
            connection.close()
    except (OSError, HTTPException) as error:
        raise NotTaken(str(error) or type(error).__name__) from error
    if not 200 <= answer.status < 300:
        raise NotTaken(f"HTTP {answer.status} {answer.reason}")
    return _parsed(content)


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content) if content else None
    except ValueError:
        return None
