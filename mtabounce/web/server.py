"""Serves the HTTP application with uvicorn, inside the event loop of the daemon."""

import asyncio
import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from pydantic import Field
from starlette.types import ASGIApp

from mtabounce.config import ListenAddress, Section
from mtabounce.errors import ConfigError

_GRACE = 5  # seconds that requests under way get when we stop


class HttpSettings(Section):
    """The HTTP server: health, metrics."""

    listen: ListenAddress = Field(
        default=ListenAddress("127.0.0.1", 9000), description="Where HTTP is served."
    )


class HttpServer:
    """Serves *application* from start() to close()."""

    def __init__(self, settings: HttpSettings, application: ASGIApp) -> None:
        self._listen = settings.listen
        self._server = _Server(
            uvicorn.Config(
                application,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACE,
            )
        )
        self._serving: asyncio.Task[None] | None = None
        self.address = ""  # where it listens, once it has started

    async def start(self) -> None:
        """Listen and serve. Raises ConfigError where the address cannot be had."""
        listener = _listener(self._listen)
        self.address = _shown(listener)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))

    async def close(self) -> None:
        """Answer what is under way, and return when all is closed."""
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving


class _Server(uvicorn.Server):
    """Uvicorn's server without its signal handlers: the daemon has its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listener(address: ListenAddress) -> socket.socket:
    try:
        if address.path is not None:
            address.path.unlink(missing_ok=True)
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(address.path))
        else:
            family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
            listener = socket.create_server((address.host, address.port), family=family)
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE
        why = "another program listens there" if in_use else error.strerror
        raise ConfigError(f"[http] listen: cannot listen on {address}: {why}") from error
    return listener


def _shown(listener: socket.socket) -> str:
    if listener.family == socket.AF_UNIX:
        return str(listener.getsockname())
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
