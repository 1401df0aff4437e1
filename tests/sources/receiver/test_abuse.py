"""What clients that do not behave can do: nothing."""

import asyncio
import contextlib
import resource
import socket
import ssl
import struct
import time

import pytest

from mtabounce.errors import InputRejected

OURS = "bounces@b.example.org"
SESSION = f"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<{OURS}>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\n"
NOT_THE_END = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r.\n",
    b"\r.\r\n",
    b"\r\n.\r",
    b"\n.\r",
    b"\n\r.\n\r",
    b"\r\r\n.\r\r\n",
    b"\r\n\x00.\r\n",
    b"\r\n.\x00\r\n",
    b"\r\n. \r\n",
    b"\r\n .\r\n",
    b"\r\n..\r\n",
    b"\r\n.\x0b\r\n",
    b"\r\n.\t\r\n",
    b"\xc2\x85.\xc2\x85",
    b"\xe2\x80\xa8.\xe2\x80\xa8",
    b"\r\n\xe2\x80\x8b.\r\n",
]


def memory():
    """Return the most memory that this process ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def unverified():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def reset_on_close(client):
    """Make the client vanish with a TCP reset instead of an orderly end."""
    sock = client.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize("end", NOT_THE_END, ids=repr)
async def test_nothing_but_a_lone_dot_between_crlfs_ends_a_mail(start, end):
    running = await start()
    client = await running.connect()
    await client.begin()
    inner = f"MAIL FROM:<>\r\nRCPT TO:<{OURS}>\r\nDATA\r\nsmuggled\r\n.\r\nQUIT\r\n".encode()

    client.send_bytes(b"outer" + end + inner)

    assert await client.hear_all() == ["250 2.0.0 kept", "221 2.0.0 bye"]
    (raw,) = running.kept
    assert raw.content.startswith(b"outer")
    assert raw.content.endswith(b"smuggled\r\n")


async def test_endless_mail_without_line_ends_takes_no_memory_and_is_cut(start):
    running = await start()
    client = await running.connect()
    await client.begin()
    chunk, before = b"x" * 2**20, memory()

    with contextlib.suppress(ConnectionError):
        for _ in range(150):
            client.send_bytes(chunk)
            await client.writer.drain()

    assert memory() - before < 32 * 2**20
    assert not running.kept
    assert await running.is_idle()


async def test_mails_of_many_clients_take_no_more_memory_than_there_is_room(start):
    running = await start(max_size="2MiB")
    clients = [await running.connect() for _ in range(25)]
    for client in clients:
        await client.begin()
        client.send_bytes(b"x" * 2_000_000)
        await client.writer.drain()
    for client in clients:
        client.send_bytes(b"\r\n.\r\n")

    replies = [(await client.hear())[:9] for client in clients]

    assert set(replies) == {"250 2.0.0", "452 4.3.1"}
    assert replies.count("250 2.0.0") == len(running.kept) >= 16
    assert await clients[-1].deliver(b"x") == "250 2.0.0 kept"


@pytest.mark.parametrize("how", ["end", "reset"])
async def test_client_that_goes_away_at_any_byte_leaves_nothing_behind(start, how):
    running = await start()

    for length in range(len(SESSION)):
        client = await running.connect()
        client.send_bytes(SESSION[:length].encode())
        await client.writer.drain()
        if how == "reset":
            reset_on_close(client)
        await client.close()

    assert await running.is_idle()
    assert not running.kept
    assert len(asyncio.all_tasks()) <= 3
    assert await (await running.connect()).deliver(b"x") == "250 2.0.0 kept"


@pytest.mark.parametrize("how", ["end", "reset", "half"])
async def test_commit_goes_on_when_the_client_goes_away(start, how):
    begun, done = asyncio.Event(), asyncio.Event()

    async def accept(raw):
        begun.set()
        await asyncio.sleep(0.2)
        done.set()

    running = await start(accept)
    client = await running.connect()
    client.send_bytes(SESSION.encode())
    await begun.wait()
    if how == "half":
        client.writer.write_eof()
    else:
        if how == "reset":
            reset_on_close(client)
        await client.close()

    await asyncio.wait_for(done.wait(), 5)
    if how == "half":
        assert (await client.hear_all())[-1] == "250 2.0.0 kept"
    assert await running.is_idle()


async def test_clients_that_leave_after_the_dot_are_stored_once_each(start):
    running = await start(max_connections=1000)

    for _ in range(300):
        client = await running.connect()
        client.send_bytes(SESSION.encode())
        await client.writer.drain()
        reset_on_close(client)
        await client.close()

    assert await running.is_idle()
    assert len(running.kept) <= 300
    assert len(asyncio.all_tasks()) <= 3


async def test_guessing_recipients_gets_one_answer_and_then_none(start):
    running = await start(return_paths=[OURS])
    replies = []

    for attempt in range(10):
        client = await running.connect()
        client.send("EHLO x", "MAIL FROM:<>")
        client.send(*(f"RCPT TO:<guess{attempt}-{number}@b.example.org>" for number in range(100)))
        replies.append((await client.hear_all())[2:])

    refused = [InputRejected.smtp_reply] * 20
    assert replies == [[*refused, "421 4.7.0 too many errors"]] * 10


async def test_idle_commands_are_not_without_end(start):
    client = await (await start()).connect()
    client.send(*["NOOP"] * 1000)

    replies = await client.hear_all()

    assert len(replies) == 21
    assert replies[-1].startswith("421 4.7.0")


async def test_a_mail_makes_up_for_errors(start):
    client = await (await start(return_paths=[OURS])).connect()
    for _ in range(5):
        for _ in range(15):
            assert (await client.ask("FOO")).startswith("502")
            assert (await client.ask("RSET")).startswith("250")
        assert await client.deliver(b"x") == "250 2.0.0 kept"


async def test_command_without_end_is_cut(start):
    running = await start()
    client = await running.connect()
    with contextlib.suppress(ConnectionError):
        for _ in range(100):
            client.send_bytes(b"x" * 2**16)
            await client.writer.drain()

    assert await running.is_idle()


async def test_long_command_is_refused(start):
    client = await (await start()).connect()

    assert (await client.ask("EHLO " + "x" * 5000)).startswith("500 5.5.2")
    assert await client.hear() == ""


async def test_a_stranger_gets_so_many_mails_over_one_connection(start):
    running = await start(trusted_peers=[])
    client = await running.connect()
    replies = [await client.deliver(b"x") for _ in range(100)]
    await client.ask("EHLO x")

    assert replies == ["250 2.0.0 kept"] * 100
    assert (await client.ask("MAIL FROM:<>")).startswith("421")
    assert not running.kept[0].trusted


async def test_a_stranger_that_is_gone_before_it_is_asked_who_it_is_is_not_trusted(start):
    running = await start(trusted_peers=[])
    host, _, port = running.receiver.addresses[0].partition(":")
    for _ in range(20):
        # All this happens before the receiver gets its turn: it cannot learn the address.
        with socket.create_connection((host, int(port))) as sock:
            sock.sendall(SESSION.encode())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    assert await running.is_idle()
    assert not any(raw.trusted for raw in running.kept)


async def test_connections_are_limited_for_each_address_and_for_all(start):
    running = await start(trusted_peers=["127.0.0.2"], max_connections=6, max_connections_per_ip=3)
    port = int(running.receiver.addresses[0].rpartition(":")[2])

    async def greeting(address):
        streams = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
        running.clients.append(type(client)(*streams))
        return await running.clients[-1].hear()

    client = await running.connect()
    strangers = [(await greeting("127.0.0.1"))[:3] for _ in range(3)]
    others = [(await greeting("127.0.0.3"))[:3] for _ in range(1)]
    friends = [(await greeting("127.0.0.2"))[:3] for _ in range(3)]
    await client.ask("QUIT")
    await client.close()
    await asyncio.sleep(0.1)

    assert (strangers, others) == (["220", "220", "421"], ["220"])
    assert friends == ["220", "220", "421"]
    assert (await greeting("127.0.0.1")).startswith("220")


async def test_flood_of_connections_leaves_others_served(start):
    running = await start(trusted_peers=[], max_connections_per_ip=5)
    port = int(running.receiver.addresses[0].rpartition(":")[2])
    is_over = asyncio.Event()

    async def flood():
        while not is_over.is_set():
            with contextlib.suppress(OSError):
                here = ("127.0.0.3", 0)
                _, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=here)
                writer.close()

    floods = [asyncio.create_task(flood()) for _ in range(20)]
    began, greetings = time.monotonic(), []
    while time.monotonic() - began < 1:
        client = await running.connect()
        greetings.append(client.greeting[:3])
        await client.ask("QUIT")
        await client.close()
    is_over.set()
    await asyncio.gather(*floods)

    assert set(greetings) == {"220"}


@pytest.mark.parametrize(
    ("before", "drip"),
    [
        ([], b""),
        ([], b"N"),
        (["EHLO x"], b"NOOP\r\n"),
        (["EHLO x"], b"EHLO x\r\n"),
        (["EHLO x", "MAIL FROM:<>", f"RCPT TO:<{OURS}>", "DATA"], b""),
        (["EHLO x", "MAIL FROM:<>", f"RCPT TO:<{OURS}>", "DATA"], b"x\r\n"),
    ],
    ids=["silent", "a byte at a time", "NOOP", "EHLO", "silent in DATA", "drip in DATA"],
)
async def test_slow_client_is_sent_away(start, quick, before, drip):
    running = await start(idle_timeout="300ms")
    client = await running.connect()
    for line in before:
        await client.ask(line)
    began, replies = time.monotonic(), asyncio.create_task(client.hear_all())
    while not replies.done():
        client.send_bytes(drip)
        await asyncio.wait([replies], timeout=0.1)

    if not drip:  # else what it still sends may make its system forget the reply
        assert await replies == ["421 4.4.2 you took too long"]
    assert 0.25 <= time.monotonic() - began < 30  # clocks differ a little
    assert await running.is_idle()


async def test_mail_that_takes_too_long_is_cut_though_it_is_not_slow(start, quick):
    running = await start(transaction_timeout="500ms")
    client = await running.connect()
    await client.begin()
    replies = asyncio.create_task(client.hear_all())
    while not replies.done():
        client.send_bytes(b"x" * 1000)
        await asyncio.wait([replies], timeout=0.1)

    assert await running.is_idle()
    assert not running.kept


async def test_clients_must_hurry_when_slots_are_few(start, quick, monkeypatch):
    monkeypatch.setattr("mtabounce.sources.receiver.CROWDED_IDLE", 0.3)
    running = await start(max_connections=5)
    clients = [await running.connect() for _ in range(5)]

    heard = [asyncio.create_task(client.hear()) for client in clients]
    done, _ = await asyncio.wait(heard, return_when=asyncio.FIRST_COMPLETED, timeout=30)

    assert {task.result() for task in done} == {"421 4.4.2 you took too long"}


async def test_client_that_reads_nothing_is_cut(start, quick):
    running = await start(idle_timeout="300ms", max_connections=1)
    client = await running.connect()
    client.writer.transport.pause_reading()
    with contextlib.suppress(ConnectionError):
        client.send(*["EHLO x"] * 2000)
        await asyncio.wait_for(client.writer.drain(), 5)

    assert await running.is_idle()


async def test_slow_clients_do_not_hold_up_others(start):
    running = await start(idle_timeout="60s")
    for _ in range(60):
        slow = await running.connect()
        await slow.begin()
        slow.send_bytes(b"x")
    client = await running.connect()
    began = time.monotonic()

    assert await client.deliver(b"x") == "250 2.0.0 kept"
    assert time.monotonic() - began < 30


async def test_what_was_said_before_tls_is_not_heard_inside(start, certificate):
    cert, key = certificate("mx.example.org")
    running = await start(tls_certificate_file=cert, tls_key_file=key)
    client = await running.connect()
    await client.ask("EHLO x")
    client.send("STARTTLS", "EHLO injected", "MAIL FROM:<injected@evil.example>")
    assert (await client.hear()).startswith("220")
    await client.writer.start_tls(unverified())

    assert (await client.ask(f"RCPT TO:<{OURS}>")).startswith("503")
    assert (await client.ask("MAIL FROM:<>")).startswith("503")
    assert await client.deliver(b"x") == "250 2.0.0 kept"
    assert running.kept[0].reverse_path == ""


async def test_garbage_instead_of_tls_ends_the_connection(start, certificate):
    cert, key = certificate("mx.example.org")
    running = await start(tls_certificate_file=cert, tls_key_file=key)
    client = await running.connect()
    assert (await client.ask("STARTTLS")).startswith("220")
    client.send_bytes(b"GET / HTTP/1.1\r\n\r\n" * 100)

    assert await running.is_idle()
    assert await (await running.connect()).deliver(b"x") == "250 2.0.0 kept"


async def test_tls_that_never_begins_is_cut(start, quick, certificate):
    cert, key = certificate("mx.example.org")
    running = await start(tls_certificate_file=cert, tls_key_file=key, idle_timeout="300ms")
    client = await running.connect()
    assert (await client.ask("STARTTLS")).startswith("220")
    client.send_bytes(b"\x16\x03\x01")

    assert await running.is_idle()
