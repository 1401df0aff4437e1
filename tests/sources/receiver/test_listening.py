"""Where the receiver listens, and how it starts, reloads and ends."""

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from pydantic import ValidationError

from mtabounce.errors import ConfigError
from mtabounce.sources.receiver import Receiver
from mtabounce.sources.receiver_settings import ReceiverSettings

OURS = "bounces@b.example.org"
SERVE = """
import asyncio, os, signal, sys
from pathlib import Path
from mtabounce.sources.pipe import Pipe
from mtabounce.sources.pipe_settings import PipeSettings
from mtabounce.sources.receiver_settings import ReceiverSettings
from mtabounce.sources.receiver import Receiver

async def main():
    async def accept(raw):
        await asyncio.sleep(DELAY)
    receiver = Receiver(ReceiverSettings(**SETTINGS), accept)
    pipe = Pipe(PipeSettings(), Path(os.environ["STATE_DIRECTORY"]), accept, 2**20)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await receiver.start()
    await pipe.start()
    print(*receiver.addresses, flush=True)
    await stop.wait()
    await receiver.close()
    await pipe.close(0)

asyncio.run(main())
"""


async def accept_all(raw):
    pass


def unverified():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def common_name(client):
    """Return a part of the certificate that the server showed: its name stands in it."""
    shown = client.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    return "old" if b"old.example.org" in shown else "new" if b"new.example.org" in shown else ""


async def begin_tls(running):
    client = await running.connect()
    assert "STARTTLS" in await client.ask("EHLO x")
    assert (await client.ask("STARTTLS")).startswith("220")
    await client.writer.start_tls(unverified())
    return client


async def test_mail_comes_over_tls(start, certificate):
    cert, key = certificate("new.example.org")
    running = await start(tls_certificate_file=cert, tls_key_file=key)
    client = await begin_tls(running)
    mail = b"x" * 300_000

    assert await client.deliver(mail) == "250 2.0.0 kept"
    assert "STARTTLS" not in await client.ask("EHLO x")
    assert (await client.ask("STARTTLS")).startswith("503")
    assert await client.ask("QUIT") == "221 2.0.0 bye"
    assert running.kept[0].content == mail + b"\r\n"
    assert await running.is_idle()


async def test_without_a_certificate_there_is_no_tls(start):
    client = await (await start()).connect()

    assert "STARTTLS" not in await client.ask("EHLO x")
    assert (await client.ask("STARTTLS")).startswith("503")


async def test_old_tls_is_refused(start, certificate):
    cert, key = certificate("new.example.org")
    running = await start(tls_certificate_file=cert, tls_key_file=key)
    client = await running.connect()
    assert (await client.ask("STARTTLS")).startswith("220")
    old = unverified()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    old.set_ciphers("DEFAULT@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1

    with pytest.raises((ssl.SSLError, ConnectionError)):
        await client.writer.start_tls(old)
    assert await running.is_idle()


async def test_reload_takes_the_new_certificate(start, certificate, tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"

    def install(name):
        for source, target in zip(certificate(name), (cert, key), strict=True):
            target.write_bytes(source.read_bytes())

    install("old.example.org")
    running = await start(tls_certificate_file=cert, tls_key_file=key)
    before = await begin_tls(running)
    install("new.example.org")
    unheeded = await begin_tls(running)
    running.receiver.reload()
    after = await begin_tls(running)

    assert [common_name(one) for one in (before, unheeded, after)] == ["old", "old", "new"]
    assert await before.deliver(b"x") == "250 2.0.0 kept"


async def test_reload_of_a_broken_certificate_keeps_the_old_one(
    start, certificate, tmp_path, caplog
):
    cert, key = certificate("old.example.org")
    running = await start(tls_certificate_file=cert, tls_key_file=key)
    content = cert.read_bytes()
    cert.write_text("no certificate")
    running.receiver.reload()
    cert.write_bytes(content)

    assert common_name(await begin_tls(running)) == "old"
    assert "tls_certificate_file" in caplog.text


@pytest.mark.parametrize("content", [None, "", "no certificate"])
async def test_certificate_that_cannot_be_used_is_a_mistake_in_the_settings(
    certificate, tmp_path, content
):
    cert, key = tmp_path / "cert.pem", certificate("new.example.org")[1]
    if content is not None:
        cert.write_text(content)
    settings = ReceiverSettings(listen=["127.0.0.1:0"], tls_certificate_file=cert, tls_key_file=key)
    receiver = Receiver(settings, accept_all)

    with pytest.raises(
        ConfigError, match=r"\[receiver\] tls_certificate_file: .*cert.pem"
    ) as error:
        await receiver.start()
    await receiver.close()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"listen": ["0.0.0.0:25"]}, "return_paths is empty"),
        ({"listen": ["[::]:25"]}, "return_paths is empty"),
        ({"lmtp_listen": ["192.0.2.1:24"]}, "return_paths is empty"),
        ({"listen": ["mail.example.org:25"]}, "return_paths is empty"),
        ({"return_paths": ["bounces"]}, 'expected "name@domain" or "@domain", found "bounces"'),
        ({"return_paths": ["a@b@c"]}, "expected"),
        ({"trusted_peers": ["127.0.0.1/8"]}, "host bits"),
        ({"trusted_peers": ["localhost"]}, "expected an address or a network"),
        ({"tls_key_file": "/x"}, "go together"),
        ({"max_size": 0}, "greater than 0"),
        ({"max_connections": 0}, "greater than 0"),
        ({"socket_mode": "rw"}, 'expected permissions such as "0660"'),
        ({"hostname": "a b"}, "expected a name"),
        ({"listne": []}, "listne"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        ReceiverSettings(**settings)


def test_right_settings_are_taken():
    settings = ReceiverSettings(
        listen=["0.0.0.0:25", "[::]:25"],
        lmtp_listen=["/run/mtabounce/lmtp.sock"],
        return_paths=["bounces@b.example.org", "@b.example.org"],
        trusted_peers=["192.0.2.0/24", "2001:db8::/32"],
        socket_mode="0666",
        max_size="20MB",
    )

    assert (settings.socket_mode, settings.max_size) == (0o666, 20_000_000)
    assert ReceiverSettings(listen=["localhost:25", "[::1]:25"], lmtp_listen=["/x"])


async def test_port_in_use_is_one_line_that_names_key_and_address(start):
    running = await start()
    taken = running.receiver.addresses[0]
    receiver = Receiver(ReceiverSettings(listen=["127.0.0.1:0", taken]), accept_all)

    with pytest.raises(ConfigError) as error:
        await receiver.start()
    await receiver.close()

    assert str(error.value).startswith(f"[receiver] listen: {taken} is in use by another program")
    assert "\n" not in str(error.value)


async def test_address_of_another_machine_cannot_be_listened_on():
    settings = ReceiverSettings(listen=["192.0.2.1:2525"], return_paths=[OURS])
    receiver = Receiver(settings, accept_all)

    with pytest.raises(ConfigError, match=r"192\.0\.2\.1:2525 is no address of this machine"):
        await receiver.start()
    await receiver.close()


async def test_ipv6_is_listened_on_too(start):
    try:
        running = await start(listen=["[::1]:0"])
    except ConfigError as error:
        pytest.skip(f"no IPv6 here: {error}")

    assert await (await running.connect()).deliver(b"x") == "250 2.0.0 kept"
    assert (running.kept[0].peer, running.kept[0].trusted) == ("::1", True)


async def test_unix_socket_takes_lmtp_from_those_it_is_open_to(start, tmp_path):
    path = tmp_path / "lmtp.sock"
    running = await start(lmtp_listen=[str(path)], socket_mode="0600", trusted_peers=[])
    client = await running.connect(str(path))

    assert path.stat().st_mode & 0o777 == 0o600
    assert await client.deliver(b"x", hello="LHLO") == "250 2.0.0 kept"
    assert (running.kept[0].peer, running.kept[0].trusted) == ("unix", True)
    await running.receiver.close()
    assert not path.exists()


async def test_unix_socket_that_a_killed_process_left_is_no_hindrance(start, tmp_path):
    path = tmp_path / "lmtp.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()

    running = await start(lmtp_listen=[str(path)])

    assert await (await running.connect(str(path))).deliver(b"x", hello="LHLO") == "250 2.0.0 kept"


async def test_unix_socket_in_use_is_left_alone(start, tmp_path):
    path = tmp_path / "lmtp.sock"
    running = await start(lmtp_listen=[str(path)])
    other = Receiver(ReceiverSettings(listen=[], lmtp_listen=[str(path)]), accept_all)

    with pytest.raises(ConfigError, match=r"lmtp_listen: .*lmtp\.sock is in use"):
        await other.start()
    await other.close()

    assert await (await running.connect(str(path))).deliver(b"x", hello="LHLO") == "250 2.0.0 kept"


async def test_file_in_the_place_of_a_socket_is_left_alone(tmp_path):
    path = tmp_path / "precious"
    path.write_text("precious")
    receiver = Receiver(ReceiverSettings(listen=[], lmtp_listen=[str(path)]), accept_all)

    with pytest.raises(ConfigError, match="lmtp_listen"):
        await receiver.start()
    await receiver.close()

    assert path.read_text() == "precious"


async def test_close_sends_idle_clients_away_and_lets_mails_end(start):
    begun, is_durable = asyncio.Event(), asyncio.Event()

    async def accept(raw):
        begun.set()
        await is_durable.wait()

    running = await start(accept)
    idle, committing, sending = [await running.connect() for _ in range(3)]
    await committing.begin()
    committing.send_bytes(b"x\r\n.\r\n")
    await sending.begin()
    await begun.wait()
    closing = asyncio.create_task(running.receiver.close(grace=5))

    assert await idle.hear_all() == ["421 4.3.2 shutting down"]
    with pytest.raises(ConnectionRefusedError):
        await running.connect()
    sending.send_bytes(b"y\r\n.\r\n")
    await asyncio.sleep(0.05)
    is_durable.set()
    for client in (committing, sending):
        assert await client.hear_all() == ["250 2.0.0 kept", "421 4.3.2 shutting down"]
    await asyncio.wait_for(closing, 1)


async def test_close_waits_no_longer_than_it_may(start):
    async def accept(raw):
        await asyncio.sleep(60)

    running = await start(accept)
    client = await running.connect()
    await client.begin()
    client.send_bytes(b"x\r\n.\r\n")
    await asyncio.sleep(0.05)
    began = time.monotonic()

    await running.receiver.close(grace=0.3)

    assert time.monotonic() - began < 30
    assert "250" not in "".join(await client.hear_all())
    assert not running.receiver.sessions


async def test_closing_twice_or_before_the_start_does_no_harm():
    receiver = Receiver(ReceiverSettings(listen=["127.0.0.1:0"]), accept_all)

    await receiver.close()
    await receiver.start()
    await receiver.close()
    await receiver.close()


@pytest.fixture
def run(tmp_path):
    """A function that starts a receiver, and what `mtabounce pipe` needs, as systemd would."""
    return partial(start_as_systemd, tmp_path)


def start_as_systemd(state, settings, sockets=(), names="", delay=0.0):
    code = SERVE.replace("SETTINGS", repr(settings)).replace("DELAY", repr(delay))

    def activate():
        for number, sock in enumerate(sockets):
            os.dup2(sock.fileno(), 3 + number)
            os.set_inheritable(3 + number, True)

    # The process must know its own number, which only a shell can tell it in advance.
    shell = f'LISTEN_PID=$$ LISTEN_FDS={len(sockets)} LISTEN_FDNAMES={names} exec "$0" -c "$1"'
    return subprocess.Popen(
        ["sh", "-c", shell, sys.executable, code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ
        | {"PYTHONPATH": str(Path(__file__).parents[3]), "STATE_DIRECTORY": str(state)},
        preexec_fn=activate if sockets else None,
        close_fds=False,
    )


@pytest.fixture
def bind():
    """A function that listens somewhere, as systemd does before it starts a service."""
    sockets = []

    def run(family=socket.AF_INET, where=("127.0.0.1", 0)):
        sockets.append(socket.socket(family))
        sockets[-1].bind(where)
        sockets[-1].listen()
        return sockets[-1]

    yield run
    for sock in sockets:
        sock.close()


def dialogue(where, *lines):
    """Say *lines* to *where*, then hear all to the end."""
    family = socket.AF_UNIX if isinstance(where, str) else socket.AF_INET
    with socket.socket(family) as sock:
        sock.settimeout(60)
        sock.connect(where)
        sock.sendall("".join(f"{line}\r\n" for line in lines).encode())
        return b"".join(iter(lambda: sock.recv(4096), b"")).decode()


def test_sockets_of_systemd_take_the_place_of_settings(run, bind, tmp_path):
    other, smtp = bind(), bind()
    lmtp = bind(socket.AF_UNIX, str(tmp_path / "lmtp.sock"))
    process = run({"listen": ["127.0.0.1:1"]}, [other, smtp, lmtp], "http:smtp:lmtp")
    try:
        said = process.stdout.readline().split()
        by_smtp = dialogue(smtp.getsockname(), "EHLO x", "QUIT")
        by_lmtp = dialogue(lmtp.getsockname(), "LHLO x", "QUIT")
        by_pipe = dialogue(str(tmp_path / "pipe.sock"), "LHLO x", "QUIT")
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)

    assert said == [f"127.0.0.1:{smtp.getsockname()[1]}", str(tmp_path / "lmtp.sock")]
    assert "ESMTP" in by_smtp
    assert "LMTP" in by_lmtp
    assert "LMTP" in by_pipe  # its own, whatever systemd has
    assert (process.returncode, errors) == (0, "")
    assert (tmp_path / "lmtp.sock").exists()  # systemd's, not ours to remove


def test_socket_of_systemd_that_the_network_reaches_needs_return_paths(run, bind):
    smtp = bind(where=("0.0.0.0", 0))  # noqa: S104
    process = run({}, [smtp], "smtp")

    _, errors = process.communicate(timeout=60)

    assert "[receiver] systemd socket smtp: return_paths is empty" in errors


def test_termination_under_load_loses_no_mail_that_got_250(run):
    process = run({"listen": ["127.0.0.1:0"]}, delay=0.3)
    host, port = process.stdout.readline().strip().split(":")
    mail = ["EHLO x", "MAIL FROM:<>", f"RCPT TO:<{OURS}>", "DATA", "x", "."]
    with socket.create_connection((host, int(port)), 10) as sock:
        sock.sendall("".join(f"{line}\r\n" for line in mail).encode())
        time.sleep(0.15)
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        heard = b"".join(iter(lambda: sock.recv(4096), b"")).decode()
        _, errors = process.communicate(timeout=60)

    assert heard.endswith("250 2.0.0 kept\r\n421 4.3.2 shutting down\r\n")
    assert time.monotonic() - began < 30
    assert (process.returncode, errors) == (0, "")
