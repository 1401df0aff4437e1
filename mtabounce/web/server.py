"""Serves the HTTP application with uvicorn, inside the event loop of the daemon."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from functools import partial
from time import monotonic
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from mtabounce.errors import ConfigError
from mtabounce.listen import address_of, open_sockets
from mtabounce.network import Slots, tls_context
from mtabounce.web.greeting import Greeter
from mtabounce.web.http_settings import HttpSettings
from mtabounce.web.protocol import Door, Protocol

_GRACE = 5  # seconds that requests under way get when we stop
_TICKS = 10  # of a tenth of a second, between looks for slow clients
log = logging.getLogger(__name__)


class HttpServer:
    """Serves *application* from start() to close()."""

    def __init__(self, settings: HttpSettings, application: ASGIApp) -> None:
        self._settings = settings
        self._application = application
        self._tls: ssl.SSLContext | None = None
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self.address = ""  # where it listens, once it has started

    async def start(self) -> None:
        """Listen and serve. Raises ConfigError where address or certificate cannot be used."""
        settings = self._settings
        self._tls = self._context()
        sockets = open_sockets("[http] listen", [settings.listen], settings.socket_mode)
        self._server = _Server(self._config())
        self.address = _shown(sockets[0], "https" if self._tls else "http")
        self._serving = asyncio.create_task(self._server.serve(sockets=sockets))

    def reload(self) -> None:
        """Read the certificate anew; where it cannot be used, the old one stays."""
        settings = self._settings
        if self._tls is None or settings.tls_certificate_file is None:
            return
        try:
            self._context()
            self._tls.load_cert_chain(settings.tls_certificate_file, settings.tls_key_file)
        except ConfigError as error:
            log.error("%s; the old certificate stays in use", error)  # noqa: TRY400 (says it all)

    async def close(self) -> None:
        """Answer what is under way, and return when all is closed."""
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving

    def _context(self) -> ssl.SSLContext | None:
        settings = self._settings
        if settings.tls_certificate_file is None:
            return None
        return tls_context("http", settings.tls_certificate_file, settings.tls_key_file)

    def _config(self) -> uvicorn.Config:
        settings = self._settings
        slots = Slots(settings.max_connections, settings.max_connections_per_ip)
        door = Door(slots, settings.trusted_proxies)
        tls = self._tls
        made = partial(Greeter, door=door, tls=tls) if tls else partial(Protocol, door=door)
        local = ["unix"] if settings.listen.path else []  # as Protocol names such a client
        proxies = [*map(str, settings.trusted_proxies), *local]
        return uvicorn.Config(
            _forwarded(self._application, proxies),
            interface="asgi3",
            http=cast(Any, made),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",  # what strangers send is counted, not logged
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE,
        )


def _forwarded(application: ASGIApp, proxies: list[str]) -> ASGIApp:
    """Return an application that believes what *proxies* say of their clients."""
    believing = cast(ASGIApp, ProxyHeadersMiddleware(cast(Any, application), proxies))

    def choose(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        for name, _ in scope["headers"]:
            if name.startswith(b"x-forwarded-"):
                return believing(scope, receive, send)
        return application(scope, receive, send)

    return choose


class _Server(uvicorn.Server):
    """Uvicorn's server without its signal handlers: the daemon has its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def on_tick(self, counter: int) -> bool:
        if counter % _TICKS == 0:
            now = monotonic()
            for connection in list(self.server_state.connections):
                if isinstance(connection, Protocol):
                    connection.sweep(now)
        return await super().on_tick(counter)


def _shown(listener: socket.socket, scheme: str) -> str:
    bound = address_of(listener)
    return str(bound) if bound.path else f"{scheme}://{bound}"
