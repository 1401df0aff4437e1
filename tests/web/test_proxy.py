"""Behind a real reverse proxy: who asks, how much may be sent, and what goes wrong on the way."""

import asyncio
import http.client
import shutil
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.responses import JSONResponse
from starlette.routing import Route

from mtabounce.config import ListenAddress
from mtabounce.web.http_settings import HttpSettings
from mtabounce.web.server import HttpServer
from mtabounce.web.spool import Spool
from mtabounce.web.webhook_settings import WebhookSettings
from mtabounce.web.webhooks import Webhooks
from tests.live.processes import free_port, wait_until
from tests.web.test_webhooks import hexed

_UNPACKED = Path(__file__).parents[2] / ".cache/nginx/usr/sbin/nginx"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin") or shutil.which(str(_UNPACKED))
CONFIG = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_max_body_size 20k;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass {upstream};
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
    }}
  }}
}}
"""
PATH = "/webhooks/service/generic"
pytestmark = pytest.mark.skipif(NGINX is None, reason="no nginx: see scripts/test-setup")


@asynccontextmanager
async def proxied(folder, application, **settings):
    """Serve *application* behind nginx; give its port."""
    server = HttpServer(HttpSettings(listen=ListenAddress("127.0.0.1", 0), **settings), application)
    await server.start()
    config, port = folder / "nginx.conf", free_port()
    config.write_text(CONFIG.format(folder=folder, port=port, upstream=server.address))
    nginx = started([NGINX, "-c", config, "-p", folder])
    try:
        await asyncio.to_thread(wait_until, lambda: answers(port), "nginx answers")
        yield port
    finally:
        nginx.terminate()
        await asyncio.to_thread(nginx.wait, 10)
        await server.close()


def started(command):
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def answers(port):
    try:
        return ask(port, "GET", "/healthz")[0] > 0
    except OSError:
        return False


def ask(port, method, path, body=None, headers=(), client="127.0.0.2"):
    connection = http.client.HTTPConnection("127.0.0.1", port, 20, (client, 0))
    try:
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


async def peer(request):
    return JSONResponse({"peer": request.client.host, "scheme": request.url.scheme})


@pytest.fixture
def webhooks(tmp_path, secret_file):
    async def take(raw):
        made.taken.append(raw)

    settings = {"generic": WebhookSettings(secret_files=(secret_file("secret"),), max_size=9000)}
    made = Webhooks(settings, take, Spool(tmp_path / "spool", take))
    made.taken = []
    return made


@pytest.mark.parametrize(
    ("trusted", "forwarded", "expected"),
    [
        (["127.0.0.1/32"], {}, "127.0.0.2"),
        (["127.0.0.1/32"], {"X-Forwarded-For": "192.0.2.9"}, "127.0.0.2"),  # the client's own lie
        (["127.0.0.0/8"], {"X-Forwarded-For": "192.0.2.9"}, "192.0.2.9"),  # the client is a proxy
        ([], {"X-Forwarded-For": "192.0.2.9"}, "127.0.0.1"),
    ],
)
async def test_client_is_who_the_trusted_proxy_says(tmp_path, trusted, forwarded, expected):
    trusted = HttpSettings(trusted_proxies=trusted).trusted_proxies
    async with proxied(tmp_path, Route("/{rest:path}", peer), trusted_proxies=trusted) as port:
        status, said = await asyncio.to_thread(ask, port, "GET", "/peer", None, forwarded)

    assert (status, expected in said) == (200, True), said


async def test_webhook_is_taken_through_it_with_its_signature_and_its_client(tmp_path, webhooks):
    body = b'{"type": "hard", "email": "ada@example.com"}'
    signed = {"X-Signature": hexed("secret", body)}
    async with proxied(tmp_path, webhooks.before(Route("/{rest:path}", peer))) as port:
        taken = await asyncio.to_thread(ask, port, "POST", PATH, body, signed)
        refused = await asyncio.to_thread(ask, port, "POST", PATH, body + b" ", signed)

    assert (taken, refused[0]) == ((200, '{"data":true}\n'), 401)
    assert [raw.peer for raw in webhooks.taken] == ["127.0.0.2"]


@pytest.mark.parametrize("size", [9_001, 30_000])  # over our limit, and over the proxy's
async def test_body_over_either_limit_is_refused(tmp_path, webhooks, size):
    async with proxied(tmp_path, webhooks.before(Route("/{rest:path}", peer))) as port:
        status, _ = await asyncio.to_thread(ask, port, "POST", PATH, b"x" * size)

    assert status == 413
    assert webhooks.taken == []
