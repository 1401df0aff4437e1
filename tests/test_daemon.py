"""The daemon as a process: what it says where it cannot start, and how it ends."""

import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psycopg
import pytest

from tests.live.processes import free_port, wait_until

SERVE = [sys.executable, "-m", "mtabounce", "serve"]


@pytest.fixture
def environment(database_url, tmp_path):
    return os.environ | {
        "MTABOUNCE_DATABASE__URL": database_url,
        "MTABOUNCE_STATE__DIRECTORY": str(tmp_path / "state"),
        "MTABOUNCE_RECEIVER__LISTEN": '["127.0.0.1:0"]',
        "MTABOUNCE_HTTP__LISTEN": "127.0.0.1:0",
        "MTABOUNCE_WORKER__PROCESSES": "1",
    }


@pytest.mark.parametrize(
    ("key", "setting", "says"),
    [
        ("HTTP__LISTEN", "{}", "[http] listen: {} is in use by another program"),
        ("RECEIVER__LISTEN", '["{}"]', "[receiver] listen: {} is in use by another program"),
        ("RECEIVER__LMTP_LISTEN", '["{}"]', "[receiver] lmtp_listen: {} is in use by another"),
    ],
)
def test_port_in_use_is_one_line(environment, key, setting, says):
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        wrong = environment | {f"MTABOUNCE_{key}": setting.format(taken)}
        done = subprocess.run(SERVE, env=wrong, capture_output=True, text=True, check=False)

    assert done.returncode == os.EX_TEMPFAIL
    assert done.stderr.startswith(f"mtabounce: {says.format(taken)}")
    assert done.stderr.count("\n") == 1


def test_without_database_and_webhooks_it_does_not_start(environment):
    away = environment | {"MTABOUNCE_DATABASE__URL": f"postgresql://127.0.0.1:{free_port()}/x"}

    done = subprocess.run(SERVE, env=away, capture_output=True, text=True, check=False)

    assert done.returncode == os.EX_UNAVAILABLE


def test_webhooks_are_taken_while_the_database_is_away_at_the_start(environment, database_url):
    http, port = f"127.0.0.1:{free_port()}", free_port()
    known = psycopg.conninfo.conninfo_to_dict(database_url)
    away = {
        "MTABOUNCE_DATABASE__URL": f"postgresql://mtabounce@127.0.0.1:{port}/{known['dbname']}",
        "MTABOUNCE_HTTP__LISTEN": http,
        "MTABOUNCE_WEBHOOKS__GENERIC__AUTH": "none",
    }
    event = {"email": "ann@example.org", "type": "hard"}
    process = subprocess.Popen(SERVE, env=environment | away)
    try:
        wait_until(lambda: status(http, "/healthz") == 200, "it takes webhooks")
        assert status(http, "/webhooks/service/generic", event) == 200
        assert status(http, "/webhooks/bounce", event) == 503
        assert status(http, "/readyz") == 503

        with (
            forwarding(port, f"{known['host']}/.s.PGSQL.5432"),
            psycopg.connect(database_url, autocommit=True) as conn,
        ):
            wait_until(lambda: status(http, "/readyz") == 200, "the database is there")
            query = "SELECT FROM mtabounce.bounces WHERE recipient = 'ann@example.org'"
            wait_until(lambda: conn.execute(query).rowcount == 1, "it is recorded")
            process.terminate()
            assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


def status(http, path, posted=None):
    """Return the status that the path answers with; 0 where nobody listens."""
    body = None if posted is None else json.dumps(posted).encode()
    try:
        with urlopen(Request(f"http://{http}{path}", data=body), timeout=5) as answer:
            return answer.status
    except HTTPError as error:
        return error.code
    except OSError:
        return 0


@contextmanager
def forwarding(port, path):
    """Let a port of TCP lead to PostgreSQL's socket."""

    def pump(one, other):
        with suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        with suppress(OSError):
            other.shutdown(socket.SHUT_RDWR)
        one.close()

    def accept(listener):
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(path)
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()

    with socket.create_server(("127.0.0.1", port)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        yield
