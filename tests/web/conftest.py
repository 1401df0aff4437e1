"""A server on a port of its own, and connections as the daemon has them."""

import asyncio
import hashlib
import http.client
import json
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from mtabounce.config import ListenAddress, SecretFile
from mtabounce.pipeline.inbox import Inbox
from mtabounce.policy import PolicySettings
from mtabounce.store.connection import connect_sync, open_pool, open_pool_sync
from mtabounce.store.tokens import SCOPES, create
from mtabounce.web.app import application
from mtabounce.web.callers import Callers
from mtabounce.web.http_settings import HttpSettings
from mtabounce.web.late import late_api
from mtabounce.web.listmonk import ListmonkApi
from mtabounce.web.listmonk_settings import ListmonkSettings
from mtabounce.web.server import HttpServer
from mtabounce.web.spool import Spool
from mtabounce.web.webhooks import Webhooks


@pytest.fixture
async def pool(database_url):
    async with open_pool(database_url, application_name="mtabounce test") as pool:
        yield pool


@pytest.fixture
def tokens(database_url):
    """Tokens, by their scope; the user name is the same."""
    with connect_sync(database_url, application_name="test") as conn:
        return {scope: create(conn, scope, [scope]) for scope in SCOPES}


@pytest.fixture
async def everything(database_url, pool, inbox, tmp_path):
    """Routes as the daemon serves them."""
    webhooks = Webhooks({}, inbox.append, Spool(tmp_path / "spool", inbox.append))
    policy, callers = PolicySettings(), Callers(pool.connection)
    with open_pool_sync(database_url, application_name="mtabounce test") as reading:
        known, at = ListmonkSettings(), pool.connection
        listmonk = ListmonkApi(known, callers, at, webhooks.durable, policy)
        api = late_api(callers, pool.connection, reading, policy)
        yield [*api.routes(), *listmonk.routes()]


@pytest.fixture
async def inbox(connecting):
    box = Inbox(connecting, lambda: None)
    running = asyncio.create_task(box.run())
    yield box
    box.close()
    await running


async def _no_troubles():
    return {}


class Client:
    """Asks the server at *address*, a request a call."""

    def __init__(self, address):
        self._netloc = urlsplit(address).netloc

    async def __call__(self, method, path, body=None, headers=None):
        return await asyncio.to_thread(self._ask, method, path, body, headers or {})

    def _ask(self, method, path, body, headers):
        connection = http.client.HTTPConnection(self._netloc, timeout=30)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
            kind = answer.headers.get("content-type", "")
            said = json.loads(text) if kind.startswith("application/json") else text
            return answer.status, said, dict(answer.headers)
        finally:
            connection.close()


@pytest.fixture
def serving():
    @asynccontextmanager
    async def serve(routes=(), before=lambda app: app):
        listen = HttpSettings(listen=ListenAddress("127.0.0.1", 0))
        server = HttpServer(listen, before(application(_no_troubles, routes)))
        await server.start()
        try:
            client = Client(server.address)
            client.address = server.address
            yield client
        finally:
            await server.close()

    return serve


@pytest.fixture
def secret_file(tmp_path):
    def make(text):
        path = tmp_path / hashlib.sha256(text.encode()).hexdigest()[:8]
        path.write_text(text)
        path.chmod(0o600)
        return SecretFile.read(path)

    return make
