"""The HTTP server and clients that are slow, greedy or hostile; TLS, proxies, Unix sockets."""

import asyncio
import socket
import ssl
import subprocess
from contextlib import asynccontextmanager, suppress

import pytest
import uvloop
from pydantic import ValidationError
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from mtabounce.config import ListenAddress
from mtabounce.errors import ConfigError
from mtabounce.web import greeting, protocol
from mtabounce.web.app import application
from mtabounce.web.http_settings import HttpSettings
from mtabounce.web.request import Refused, peer_of, read_request
from mtabounce.web.server import HttpServer

GET = b"GET /who HTTP/1.1\r\nHost: x\r\n"


async def who(request):
    return JSONResponse({"peer": peer_of(request), "scheme": request.url.scheme})


async def post(request):
    try:
        posted = await read_request(request, 2**20)
    except Refused as error:
        return PlainTextResponse("refused\n", error.status)
    return PlainTextResponse(f"{len(posted.body)}\n")


async def large(request):
    return PlainTextResponse("x" * 2**24)


async def _no_troubles():
    return {}


@asynccontextmanager
async def served(listen=None, **settings):
    routes = [Route("/who", who), Route("/post", post, methods=["POST"]), Route("/large", large)]
    listen = listen or ListenAddress("127.0.0.1", 0)
    server = HttpServer(HttpSettings(listen=listen, **settings), application(_no_troubles, routes))
    await server.start()
    try:
        yield server
    finally:
        await server.close()


def port_of(server):
    return int(server.address.rpartition(":")[2])


async def said_to(server, *parts, pause=0.0):
    """Send *parts* as they are, and return all that comes until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        return await asyncio.wait_for(reader.read(), 20)
    except ConnectionError:
        return b""
    finally:
        writer.close()


SMUGGLED = b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /post HTTP/1.1\r\nHost: x\r\n"
AMBIGUOUS = [
    POST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    POST + b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n" + SMUGGLED,
    POST + b"Content-Length: 0\r\nContent-Length: 34\r\n\r\n" + SMUGGLED,
    POST + b"Content-Length: 0, 34\r\n\r\n" + SMUGGLED,
    POST + b"Content-Length: +0\r\n\r\n" + SMUGGLED,
    POST + b"Content-Length: -1\r\n\r\n" + SMUGGLED,
    POST + b"Content-Length: 0x0\r\n\r\n" + SMUGGLED,
    POST + b"Content-Length : 0\r\n\r\n" + SMUGGLED,
    POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
    POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n\r\n0\r\n\r\n" + SMUGGLED,
    POST + b"Transfer-Encoding: chunked\r\n\r\n0x2\r\nab\r\n0\r\n\r\n" + SMUGGLED,
    POST + b"Transfer-Encoding: chunked\r\n\r\n2\nab\n0\n\n" + SMUGGLED,
    POST + b"Transfer-Encoding: chunked\r\n\r\n2;x\ny\r\nab\r\n0\r\n\r\n" + SMUGGLED,
    POST.replace(b"\r\n", b"\n") + b"Content-Length: 0\n\n" + SMUGGLED,
    POST + b"X: a\nContent-Length: 5\r\n\r\n" + SMUGGLED,
    POST + b"X: a\rContent-Length: 5\r\n\r\n" + SMUGGLED,
    POST + b" folded: 1\r\nContent-Length: 0\r\n\r\n" + SMUGGLED,
    POST + b"X\0Y: 1\r\n\r\n" + SMUGGLED,
    POST + b": nameless\r\n\r\n" + SMUGGLED,
    b"GET /who HTTP/1.1 x\r\n\r\n",
    b"GET /who HTTP/9.9\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00",  # TLS
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]


async def test_ambiguous_requests_are_refused_and_nothing_is_smuggled():
    async with served() as server:
        for sent in AMBIGUOUS:
            answer = await said_to(server, sent)

            assert answer.startswith(b"HTTP/1.1 400 "), sent
            assert answer.count(b"HTTP/1.1 ") == 1, sent
            assert b"127.0.0.1" not in answer, sent


HEADS = {
    "one header of 1 MB": [GET + b"X: " + b"x" * 2**20 + b"\r\n\r\n"],
    "1 MB of a header, in pieces": [GET + b"X: ", *[b"x" * 2**14] * 64],
    "10,000 headers": [GET + b"".join(b"X%d: 1\r\n" % n for n in range(10_000)) + b"\r\n"],
    "101 headers": [GET + b"".join(b"X%d: 1\r\n" % n for n in range(101)) + b"\r\n"],
    "a long path": [b"GET /" + b"x" * 2**17 + b" HTTP/1.1\r\n\r\n"],
    "a long path, in pieces": [b"GET /", *[b"x" * 2**14] * 16],
}


async def test_large_heads_are_refused():
    async with served() as server:
        for name, sent in HEADS.items():
            answer = await said_to(server, *sent)

            assert answer.startswith(b"HTTP/1.1 431 ") or answer == b"", name  # or reset
        assert await is_well(server)


async def is_well(server):
    answer = await said_to(server, GET + b"Connection: close\r\n\r\n")
    return answer.startswith(b"HTTP/1.1 200 ")


async def test_usual_heads_and_pipelined_requests_are_taken():
    ninety = b"".join(b"X%d: %b\r\n" % (n, b"v" * 500) for n in range(90))
    close = b"Connection: close\r\n\r\n"
    body = b"Content-Length: 100000\r\n\r\n" + b"b" * 100_000
    async with served() as server:
        answer = await said_to(server, GET + ninety + close)
        assert answer.startswith(b"HTTP/1.1 200 ")
        answer = await said_to(server, POST + body + POST + body + GET + close)
        assert answer.count(b"HTTP/1.1 200 ") == 3
        answer = await said_to(server, (GET + b"\r\n") * 50 + GET + close)
        assert answer.count(b"HTTP/1.1 200 ") == 51


SLOW = {
    "nothing": [],
    "half a head": [b"GET /who HT"],
    "empty lines": [b"\r\n"] * 30,
    "headers, one by one": [GET, *[b"X: 1\r\n"] * 30],
    "a body, octet by octet": [POST + b"Content-Length: 999\r\n\r\n", *[b"x"] * 30],
    "a body that nobody wants": [
        b"POST /who HTTP/1.1\r\nContent-Length: 999\r\n\r\n",
        *[b"x"] * 30,
    ],
}


@pytest.fixture
def quick(monkeypatch):
    for name in ("HEAD_TIME", "BODY_TIME", "READ_TIME"):
        monkeypatch.setattr(protocol, name, 0.3)


async def test_slow_clients_are_sent_away(quick):
    async with served() as server:
        begun = asyncio.get_running_loop().time()
        await asyncio.gather(*(said_to(server, *sent, pause=0.1) for sent in SLOW.values()))

        assert asyncio.get_running_loop().time() - begun < 10
        assert await is_well(server)


async def test_client_that_does_not_read_is_sent_away(quick):
    async with served() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server), limit=1)
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.sleep(3)

        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(2**24)
        writer.close()


async def test_one_address_gets_so_many_connections_and_others_still_get_in():
    only = {"max_connections_per_ip": 20, "trusted_proxies": []}
    async with served(**only) as server:
        held = [await asyncio.open_connection("127.0.0.1", port_of(server)) for _ in range(20)]
        assert (await said_to(server)).startswith(b"HTTP/1.1 503 ")
        loop = asyncio.get_running_loop()
        with socket.socket() as other:
            other.setblocking(False)
            other.bind(("127.0.0.2", 0))
            await loop.sock_connect(other, ("127.0.0.1", port_of(server)))
            await loop.sock_sendall(other, GET + b"\r\n")
            assert (await loop.sock_recv(other, 100)).startswith(b"HTTP/1.1 200 ")
        for _, writer in held:
            writer.close()
        await asyncio.sleep(0.1)
        assert await is_well(server)


async def test_five_hundred_slow_clients_hold_up_nobody():
    async with served(max_connections=1000) as server:
        held = [await asyncio.open_connection("127.0.0.1", port_of(server)) for _ in range(500)]
        for _, writer in held:
            writer.write(b"POST /post HTTP/1.1\r\nContent-Length: 9")
        async with asyncio.timeout(5):
            assert await is_well(server)
        for _, writer in held:
            writer.close()


@pytest.mark.parametrize(
    ("trusted", "forwarded", "peer"),
    [
        (["127.0.0.1"], "192.0.2.7", "192.0.2.7"),
        (["127.0.0.0/8"], "203.0.113.5, 192.0.2.7", "192.0.2.7"),
        (["127.0.0.1", "192.0.2.0/24"], "203.0.113.5, 192.0.2.7", "203.0.113.5"),
        (["192.0.2.1"], "192.0.2.7", "127.0.0.1"),
        ([], "192.0.2.7", "127.0.0.1"),
    ],
)
async def test_forwarded_addresses_are_believed_of_trusted_proxies_alone(trusted, forwarded, peer):
    settings = HttpSettings(trusted_proxies=trusted)
    async with served(trusted_proxies=settings.trusted_proxies) as server:
        head = GET + f"X-Forwarded-For: {forwarded}\r\nX-Forwarded-Proto: https\r\n".encode()
        answer = await said_to(server, head + b"Connection: close\r\n\r\n")

    assert f'"peer":"{peer}"'.encode() in answer
    is_believed = b'"scheme":"https"' in answer
    assert is_believed == ("127." in str(trusted))


async def test_unix_socket_is_a_trusted_proxy_and_has_its_permissions(tmp_path):
    path = tmp_path / "http.sock"
    async with served(ListenAddress(path=path), socket_mode="0600") as server:
        assert server.address == str(path)
        assert path.stat().st_mode & 0o777 == 0o600
        for header, peer in ((b"", b"unix"), (b"X-Forwarded-For: 192.0.2.7\r\n", b"192.0.2.7")):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(GET + header + b"Connection: close\r\n\r\n")
            assert b'"peer":"' + peer + b'"' in await reader.read()
            writer.close()


def make_certificate(folder, name):
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subject = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    files = ["-nodes", "-keyout", key, "-out", certificate, "-days", "2"]
    subprocess.run([*made, *subject, *files], check=True, capture_output=True)
    return certificate, key


async def test_https_is_served_and_its_certificate_read_anew(tmp_path):
    certificate, key = make_certificate(tmp_path, "one.test")
    other, other_key = make_certificate(tmp_path, "two.test")
    async with served(tls_certificate_file=certificate, tls_key_file=key) as server:

        async def ask(name, known_by):
            context = ssl.create_default_context(cafile=known_by)
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port_of(server), ssl=context, server_hostname=name
            )
            writer.write(GET + b"Connection: close\r\n\r\n")
            answer = await reader.read()
            writer.close()
            return answer

        assert server.address.startswith("https://")
        assert b'"scheme":"https"' in await ask("one.test", certificate)
        assert (await said_to(server, GET + b"\r\n")) == b""
        known = tmp_path / "known.pem"
        known.write_bytes(other.read_bytes())
        certificate.write_bytes(other.read_bytes())
        server.reload()  # the key does not fit: the old one stays
        with pytest.raises(ssl.SSLError):
            await ask("two.test", known)
        key.write_bytes(other_key.read_bytes())
        server.reload()
        assert b'"scheme":"https"' in await ask("two.test", known)


async def handshakes_that_never_end(certificate, key):
    settings = {"max_connections_per_ip": 5, "trusted_proxies": []}
    files = {"tls_certificate_file": certificate, "tls_key_file": key}
    async with served(**settings, **files) as server:
        context = ssl.create_default_context(cafile=certificate)

        async def ask():
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port_of(server), ssl=context, server_hostname="one.test"
            )
            writer.write(GET + b"Connection: close\r\n\r\n")
            answer = await reader.read()
            writer.close()
            return answer

        assert b'"scheme":"https"' in await ask()
        held = [await asyncio.open_connection("127.0.0.1", port_of(server)) for _ in range(5)]
        held[0][1].write(b"\x16\x03\x01\x02\x00")  # the beginning of a handshake
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await ask()

        held[3][1].close()
        held[4][1].write(b"GET / HTTP/1.0\r\n\r\n")  # no handshake
        async with asyncio.timeout(30):
            assert b'"scheme":"https"' in await until_taken(ask)
            for reader, _ in held[:3]:
                assert await reader.read() == b""  # after HEAD_TIME
        late = await asyncio.open_connection("127.0.0.1", port_of(server))
        await asyncio.sleep(0.1)
    assert await late[0].read() == b""
    for _, writer in (*held, late):
        writer.close()


async def until_taken(ask):
    while True:
        with suppress(ssl.SSLError, ConnectionError):
            return await ask()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_handshake_that_never_ends_has_a_slot_and_little_time(run, tmp_path, monkeypatch):
    monkeypatch.setattr(greeting, "HEAD_TIME", 2.0)
    run(handshakes_that_never_end(*make_certificate(tmp_path, "one.test")))


async def test_certificate_that_cannot_be_used_is_one_line(tmp_path):
    missing = tmp_path / "missing.pem"
    settings = HttpSettings(tls_certificate_file=missing, tls_key_file=missing)
    server = HttpServer(settings, application(_no_troubles))

    with pytest.raises(ConfigError, match=r"^\[http\] tls_certificate_file: .*No such file"):
        await server.start()
    with pytest.raises(ValidationError, match="go together"):
        HttpSettings(tls_key_file=missing)
