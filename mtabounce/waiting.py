"""What takes webhooks while the database is away as we start: they go to the spool."""

import asyncio
import logging
import signal

import uvloop
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mtabounce.errors import StoreUnavailable
from mtabounce.model import RawInput
from mtabounce.settings import Settings
from mtabounce.store.migrate import prepare
from mtabounce.store.state import spool_directory
from mtabounce.web.app import application
from mtabounce.web.request import RETRY_AFTER
from mtabounce.web.server import HttpServer
from mtabounce.web.spool import Spool
from mtabounce.web.webhooks import Webhooks

PAUSE = 2.0  # seconds between looks for the database
log = logging.getLogger(__name__)


def wait_for_store(settings: Settings, url: str) -> bool:
    """
    Return whether the database *url* is there and fits, waiting for it; False: told to stop.

    Only webhooks are worth waiting for: who sends mail comes back for days, an ESP for minutes.
    Raises StoreUnavailable where the database is away and no webhook is configured, SchemaMismatch
    where it is another version's.
    """
    try:
        prepare(url)
    except StoreUnavailable as error:
        if not settings.webhooks:
            raise
        log.warning("%s; webhooks go to the spool until it is there", error)
        return uvloop.run(_Waiting(settings, url, str(error)).run())
    return True


class _Waiting:
    def __init__(self, settings: Settings, url: str, why: str) -> None:
        self._url = url
        self._why = why
        self._stop = asyncio.Event()
        spool = Spool(spool_directory(settings.state), self._refuse)
        webhooks = Webhooks(settings.webhooks, self._refuse, spool)
        all_else = Route("/{path:path}", _come_back, methods=["GET", "POST", "PUT", "DELETE"])
        rest = application(self._troubles, [all_else])
        self._http = HttpServer(settings.http, webhooks.before(rest))

    async def run(self) -> bool:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        await self._http.start()
        log.warning("webhooks are taken at %s", self._http.address)
        try:
            return await self._until_there()
        finally:
            await self._http.close()

    async def _until_there(self) -> bool:
        while not self._stop.is_set():
            try:
                await asyncio.to_thread(prepare, self._url)
            except StoreUnavailable as error:
                self._why = str(error)
            else:
                return True
            try:
                await asyncio.wait_for(self._stop.wait(), PAUSE)
            except TimeoutError:
                continue
        return False

    async def _refuse(self, raw: RawInput) -> None:
        del raw
        raise StoreUnavailable(self._why)

    async def _troubles(self) -> dict[str, str]:
        return {"database": self._why}


async def _come_back(request: Request) -> Response:
    del request
    return JSONResponse({"message": "the database is away"}, 503, RETRY_AFTER)
