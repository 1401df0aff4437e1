"""Events for sinks, and the sinks that are told of them."""

import json
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from psycopg.rows import dict_row

from mtabounce.pipeline.words import Word, say
from mtabounce.policy import PolicySettings
from mtabounce.sinks import SinkSettings
from mtabounce.store.connection import connect
from mtabounce.telling import Telling


class Server(ThreadingHTTPServer):
    """
    Serves on loopback, within ``with``.

    *respond* is given the method, target, headers and body of a request, and returns a status and
    JSON; None: no content.
    """

    def __init__(self, respond):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.respond = respond

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return super().__enter__()

    def __exit__(self, *error):
        self.shutdown()
        super().__exit__(*error)


class _Handler(BaseHTTPRequestHandler):
    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = (self.command, self.path, dict(self.headers), body)
        status, said = self.server.respond(*asked)
        content = b"" if said is None else json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 (the names of the base class)

    def log_message(self, *_):
        pass


async def telling(conn, **settings):
    sink = SinkSettings.model_validate(settings)
    told = Telling([sink], partial(connect, "", application_name=""))
    await told.register(conn)
    return partial(told.tell_once, conn, sink.title)


async def speak(conn, action, *recipients, why=""):
    words = [Word(recipient=one, action=action, why=why) for one in recipients]
    async with conn.transaction():
        await say(conn, PolicySettings(), words, "olga")


async def rows(conn):
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SELECT * FROM outbox ORDER BY id")
        return await cursor.fetchall()
