"""
The API under /api/v1 and its documents, made when they are first asked for.

FastAPI and what it needs of each route take time and memory at every start of the daemon, and
many never call it: bounces, webhooks, SQL and listmonk's API do without.
"""

import asyncio
from collections.abc import Callable

from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from mtabounce.policy import PolicySettings
from mtabounce.store.connection import ConnectionPool
from mtabounce.web.callers import Callers, Connected

PATHS = ("/api/v1/{rest:path}", "/docs", "/docs/{rest:path}", "/openapi.json")


class LateApi:
    """An ASGI application that *build* makes, in a thread, at the first request."""

    def __init__(self, build: Callable[[], ASGIApp]) -> None:
        self._build = build
        self._lock = asyncio.Lock()
        self._app: ASGIApp | None = None

    def routes(self) -> list[Route]:
        """Return the routes that lead here."""
        return [Route(path, self) for path in PATHS]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        app = self._app or await self._made()
        await app(scope, receive, send)

    async def _made(self) -> ASGIApp:
        async with self._lock:
            if self._app is None:
                self._app = await asyncio.to_thread(self._build)
            return self._app


def late_api(
    callers: Callers, connected: Connected, reading: ConnectionPool, policy: PolicySettings
) -> LateApi:
    """Return the API for *callers*, which reads with *reading*, and writes with *connected*."""

    def build() -> ASGIApp:
        from mtabounce.web.api import Parts, make

        return make(Parts(callers, connected, reading, policy))

    return LateApi(build)
