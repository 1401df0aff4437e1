"""The HTTP application: health, readiness and metrics."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic

from prometheus_client import CONTENT_TYPE_LATEST, disable_created_metrics, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

disable_created_metrics()  # a second series for each, of no use to anybody

_NOTHING_HERE = """<!DOCTYPE html>
<html lang="en">
<title>Not found</title>
<h1>Not found</h1>
<p>This is mtabounce. <a href="/docs">Its API</a> says what there is.
</html>
"""
AGAIN = 1.0  # seconds for which an answer about troubles is good
Troubles = Callable[[], Awaitable[dict[str, str]]]
Ailments = Callable[[], dict[str, str]]


def application(
    troubles: Troubles, more: Sequence[Route] = (), ailments: Ailments = dict
) -> Starlette:
    """
    Return the application; *troubles* names each part without which nothing can be taken, and why.

    *ailments* names parts that are not well while all else works: who sends mail or webhooks here
    need not go elsewhere for them.
    """
    remembered = _Remembered(troubles)

    async def readyz(request: Request) -> Response:
        del request
        found = await remembered.troubles()
        told = {"ready": not found, "troubles": found, "ailments": ailments()}
        return JSONResponse(told, 503 if found else 200)

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
            *more,
        ],
        exception_handlers={404: nothing_here, 405: wrong_method},
    )


class _Remembered:
    """Asks for troubles once a second at most, whoever asks here: strangers may."""

    def __init__(self, troubles: Troubles) -> None:
        self._ask = troubles
        self._lock = asyncio.Lock()
        self._found: dict[str, str] = {}
        self._until = 0.0  # by the monotonic clock

    async def troubles(self) -> dict[str, str]:
        async with self._lock:
            if monotonic() >= self._until:
                self._found = await self._ask()
                self._until = monotonic() + AGAIN
            return self._found


async def nothing_here(request: Request, error: Exception) -> Response:
    """Say in a browser that there is no such page."""
    del request, error
    return HTMLResponse(_NOTHING_HERE, 404)


async def wrong_method(request: Request, error: Exception) -> Response:
    """Say so in JSON, as listmonk does: who uses a method by mistake is a program."""
    del request
    headers = error.headers if isinstance(error, HTTPException) else None  # Allow
    return JSONResponse({"message": "Method Not Allowed"}, 405, headers)


async def healthz(request: Request) -> Response:
    """Say that the process is alive and its event loop turns."""
    del request
    return PlainTextResponse("mtabounce is alive\n")


async def metrics(request: Request) -> Response:
    """Return all counters in the text format of Prometheus."""
    del request
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
