"""A PostgreSQL that others look after: what they set for it, and what they put before it."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier, Literal

from mtabounce.errors import ConfigError
from mtabounce.store import connect_sync
from mtabounce.store.version import check, status
from tests.conftest import url_of

ADMINISTRATORS = {  # and what our connections have all the same
    "datestyle": ("German", "ISO, MDY"),
    "intervalstyle": ("sql_standard", "postgres"),
    "timezone": ("Australia/Lord_Howe", "UTC"),
    "standard_conforming_strings": ("off", "on"),
    "default_transaction_isolation": ("serializable", "read committed"),
    "idle_session_timeout": ("3s", "0"),
    "statement_timeout": ("1ms", "30s"),
    "search_path": ("pg_temp", "mtabounce,public"),
}
REFUSED = b"SFATAL\0C08P01\0Munsupported startup parameter: options\0\0"


def test_settings_of_the_administrator_do_not_change_what_our_statements_mean(database_url):
    with psycopg.connect(database_url, autocommit=True) as conn:
        for name, (value, _) in ADMINISTRATORS.items():
            words = "ALTER DATABASE {} SET {} = {}"
            known = Identifier(conn.info.dbname), Identifier(name), Literal(value)
            conn.execute(SQL(words).format(*known))

    with connect_sync(database_url, application_name="a test") as conn:
        for name, (_, kept) in ADMINISTRATORS.items():
            assert conn.execute(f"SHOW {name}").fetchone() == (kept,)
        (hour,) = conn.execute("SELECT timestamptz '2026-11-30 01:00+01'").fetchone()

    assert hour == datetime(2026, 11, 30, tzinfo=UTC)


def test_database_in_other_letters_is_refused_before_it_is_changed(embedded, administer):
    words = "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"
    administer.execute(words)
    try:
        with pytest.raises(ConfigError, match=r'"latin" is encoded in LATIN1, .* ENCODING') as said:
            status(url_of(embedded, "latin"))
    finally:
        administer.execute("DROP DATABASE latin WITH (FORCE)")

    assert "\n" not in str(said.value)


@pytest.fixture
def pooler(database_url) -> Iterator[Callable[[bool], str]]:
    """
    Put what pgbouncer does with the options of a connection before the database.

    It refuses them, or drops them where its ignore_startup_parameters says so. Gives the URL.
    """
    known = conninfo_to_dict(database_url)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def relay(refuses: bool) -> None:
        with listener.accept()[0] as client, socket.socket(socket.AF_UNIX) as server:
            server.connect(f"{known['host']}/.s.PGSQL.{known.get('port', 5432)}")
            (length,) = struct.unpack("!i", client.recv(4, socket.MSG_WAITALL))
            asked = client.recv(length - 4, socket.MSG_WAITALL)
            if refuses:
                client.sendall(b"E" + struct.pack("!i", len(REFUSED) + 4) + REFUSED)
                return
            words = asked[4:].split(b"\0")
            pairs = zip(words[::2], words[1::2], strict=False)
            kept = b"".join(b"%s\0%s\0" % one for one in pairs if one[0] not in (b"", b"options"))
            server.sendall(struct.pack("!i", len(kept) + 9) + asked[:4] + kept + b"\0")
            back = threading.Thread(target=_pump, args=(server, client))
            back.start()
            _pump(client, server)
            back.join()

    def start(refuses: bool) -> str:
        threading.Thread(target=relay, args=(refuses,), daemon=True).start()
        where = f"127.0.0.1:{port}/{known['dbname']}"
        return f"postgresql://{known['user']}@{where}?sslmode=disable&gssencmode=disable"

    yield start
    listener.close()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):  # the other end is gone
        while some := source.recv(65536):
            sink.sendall(some)
        sink.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("refuses", [True, False], ids=["refuses options", "drops options"])
def test_pooler_that_shares_connections_out_is_refused_in_plain_words(refuses, pooler):
    with pytest.raises(ConfigError, match=r"stands a pooler .* so name PostgreSQL") as said:
        check(pooler(refuses))

    assert "\n" not in str(said.value)
