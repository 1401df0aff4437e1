"""Secrets that are planted everywhere show up nowhere: no log, metric, page, error or report."""

import base64
import os
import re
import select
import signal
import socketserver
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest

MTABOUNCE = [sys.executable, "-m", "mtabounce"]
READY = re.compile(r"http +(http://\S+)")
CONFIG = """\
[database]
url = "{database}&password=planted-database"
[state]
directory = "{folder}/state"
[receiver]
listen = ["127.0.0.1:0"]
[http]
listen = "127.0.0.1:0"
[worker]
processes = 1
[return_path]
domain = "bounces.example.org"
keys = [{{ id = "a", secret_file = "{folder}/return-path" }}]
[webhooks.postmark]
username = "postmark"
password_file = "{folder}/webhook"
[[pop3]]
host = "127.0.0.1"
port = {port}
tls = "none"
username = "bounces"
password_file = "{folder}/mailbox"
interval = "10s"
[[sink]]
kind = "webhook"
name = "crm"
url = "http://crm:planted-url@127.0.0.1:{port}/hook?token=planted-query"
secret_file = "{folder}/signing"
events = ["suppressed"]
"""
SECRETS = {
    "return-path": "planted-return-path-0123456789abcdef0123456789",
    "webhook": "planted-webhook",
    "mailbox": "planted-mailbox",
    "signing": "whsec_" + base64.b64encode(b"planted-signing-0123456789abcdef").decode(),
}


class Parrot(socketserver.StreamRequestHandler):
    """A server of mailboxes and webhooks that refuses everything, and repeats what it was told."""

    def handle(self):
        if select.select([self.connection], [], [], 0.5)[0]:  # who posts speaks first
            self.wfile.write(b"HTTP/1.1 500 " + self.rfile.readline().strip() + b"\r\n\r\n")
            return
        self.wfile.write(b"+OK ready\r\n")
        for line in self.rfile:
            if line.startswith(b"USER"):
                self.wfile.write(b"+OK\r\n")
            else:
                self.wfile.write(b"-ERR not for you: " + line.strip() + b"\r\n")


@pytest.fixture
def port():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Parrot) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture
def config(tmp_path, database_url, port):
    for name, secret in SECRETS.items():
        path = tmp_path / name
        path.touch(mode=0o600)
        path.write_text(secret)
    path = tmp_path / "mtabounce.toml"
    path.touch(mode=0o600)
    path.write_text(CONFIG.format(database=database_url, folder=tmp_path, port=port))
    return path


def run(config, *words):
    line = [*MTABOUNCE, "--config", str(config), *words]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=120)
    return done.stdout + done.stderr


def fetched(url, **headers):
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 (our own)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()


def basic(name, password):
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def wait_for_an_attempt(config):
    ends = time.monotonic() + 90
    while '"attempts": 0' in run(config, "outbox", "list", "--json"):
        assert time.monotonic() < ends


def test_no_secret_is_shown_anywhere(config, tmp_path):
    token = run(config, "token", "create", "app", "--scope", "read").strip()
    log = tmp_path / "log"
    with log.open("wb") as output:
        serving = subprocess.Popen(
            [*MTABOUNCE, "--config", str(config), "serve"], stdout=output, stderr=output
        )
    try:
        ends = time.monotonic() + 30
        while not (found := READY.search(log.read_text())):
            assert serving.poll() is None, log.read_text()
            assert time.monotonic() < ends
            time.sleep(0.1)
        shown = [run(config, "suppressions", "add", "ann@example.org")]
        hook = f"{found[1]}/webhooks/service/postmark"
        shown.append(fetched(hook, Authorization=basic("postmark", "planted-webhook-wrong")))
        shown.append(fetched(f"{found[1]}/api/bounces", Authorization=f"token app:{token}x"))
        shown.append(fetched(f"{found[1]}/api/bounces?token={token}"))
        wait_for_an_attempt(config)
        shown += [fetched(f"{found[1]}{path}") for path in ("/metrics", "/healthz", "/readyz")]
        commands = (
            "doctor", "config check", "config show", "outbox list --json", "policy show",
            "db status", "webhook list", "webhook doctor postmark", "token list",
            "poll --dry-run", "poll", "db upkeep", "export-person ann@example.org",
        )  # fmt: skip
        shown += [run(config, *words.split()) for words in commands]
    finally:
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(30) == os.EX_OK

    shown.append(log.read_text())
    everything = "\n".join(shown)
    assert "not for you" in everything  # the troubles were told of
    assert "HTTP 500 POST /hook" in everything
    leaking = [line for line in everything.splitlines() if leaks(line, token)]
    assert not leaking, "\n".join(leaking)


def leaks(line, token):
    encoded = SECRETS["signing"].removeprefix("whsec_")
    return "planted-" in line or token in line or encoded in line


def test_wrong_settings_do_not_repeat_secrets(config):
    text = config.read_text()
    config.write_text(text.replace("postgresql://", "postgresql:/planted-scheme:"))
    assert "planted" not in run(config, "config", "check")

    config.write_text(text.replace("host=", "hozt=planted-host&host="))
    assert "planted-database" not in run(config, "doctor")
