"""Serves the HTTP application with uvicorn, inside the event loop of the daemon."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from time import monotonic
from typing import Any, Self, cast

import uvicorn
from pydantic import Field, model_validator
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from mtabounce.config import ListenAddress, Section
from mtabounce.errors import ConfigError
from mtabounce.listen import address_of, open_sockets
from mtabounce.network import Mode, Network, Slots, tls_context
from mtabounce.web.greeting import Greeter
from mtabounce.web.protocol import Door, Protocol

_GRACE = 5  # seconds that requests under way get when we stop
_TICKS = 10  # of a tenth of a second, between looks for slow clients
log = logging.getLogger(__name__)


class HttpSettings(Section):
    """The HTTP server: APIs, webhooks, health, metrics."""

    listen: ListenAddress = Field(
        default=ListenAddress("127.0.0.1", 9000), description="Where HTTP is served."
    )
    socket_mode: Mode = Field(default=0o660, description="The permissions of a Unix socket.")
    tls_certificate_file: Path | None = Field(
        default=None,
        description=(
            "A certificate chain (PEM), to serve HTTPS. Read anew on SIGHUP. Absent: plain HTTP, "
            "for a proxy of this machine."
        ),
    )
    tls_key_file: Path | None = Field(default=None, description="The key to it (PEM).")
    trusted_proxies: list[Network] = Field(
        default=[ip_network("127.0.0.1"), ip_network("::1")],
        description=(
            "Proxies whose X-Forwarded-For is believed, so that limits count the clients behind "
            "them. So is what comes over a Unix socket. Of nobody else it is looked at."
        ),
    )
    max_connections: int = Field(default=1000, gt=0, description="Connections at a time.")
    max_connections_per_ip: int = Field(
        default=100,
        gt=0,
        description="Those from one address (IPv6: one /64). Trusted proxies have no limit.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_certificate_file and tls_key_file go together")
        return self


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
