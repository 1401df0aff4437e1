"""Polling POP3: whatever the server does, each mail is on the server or stored, and stored once."""

import asyncio
import os
import ssl
import time

import pytest

from mtabounce.errors import ConfigError, StoreUnavailable
from mtabounce.sources import poller as poller_module
from mtabounce.sources.mailboxes import MailboxError, MailboxRefused
from mtabounce.store import mailboxes as store
from tests.sources.mailboxes import pop3_server as faults
from tests.sources.mailboxes.conftest import HUMAN, dsn

ALL = ["u0", "u1", "u2"]


async def until_calm(poller, times=6):
    """Poll as often as a day would; return what the polls said that failed."""
    said = []
    for _ in range(times):
        try:
            await poller.poll()
        except MailboxError as error:
            said.append(str(error))
    return said


async def test_bounces_are_stored_exactly_and_deleted(server, poller, stored, connecting):
    mail = server.mails["u0"]

    tally = await poller().poll()

    assert (tally.stored, tally.deleted, tally.other) == (3, 3, 0)
    assert (await stored(), server.mails) == (ALL, {})
    async with await connecting() as conn:
        cursor = await conn.execute("SELECT content, source FROM inputs ORDER BY id LIMIT 1")
        content, source = await cursor.fetchone()
    assert (content, source) == (mail, "pop3:bounces@localhost")


async def test_other_mail_is_left_counted_and_fetched_once(server, poller, stored):
    server.mails["human"] = HUMAN

    first, second = await poller().poll(), await poller().poll()

    assert (first.other, second.other, second.stored) == (1, 0, 0)
    assert (list(server.mails), server.fetched["human"]) == (["human"], 1)
    assert await stored() == ALL


async def test_other_mail_is_looked_at_again_when_asked(server, poller):
    server.mails["human"] = HUMAN
    await poller().poll()

    assert (await poller().poll(again=True)).other == 1
    assert server.fetched["human"] == 2


async def test_bounces_can_be_left_and_are_not_fetched_again(server, poller, stored):
    await poller(keep="leave").poll()
    await poller(keep="leave").poll()

    assert (list(server.mails), await stored()) == (ALL, ALL)
    assert set(server.fetched.values()) == {1}


async def test_dry_run_says_what_it_would_do_and_changes_nothing(server, poller, stored):
    server.mails["human"] = HUMAN

    tally = await poller(dry_run=True).poll()

    assert [line.split()[:3] for line in tally.lines] == [
        ["delete", "u0", "bounce:"],
        ["delete", "u1", "bounce:"],
        ["delete", "u2", "bounce:"],
        ["leave", "human", "unrecognized"],
    ]
    assert (list(server.mails), await stored()) == ([*ALL, "human"], [])
    assert not any(line.startswith("DELE") for line in server.heard)


COMMANDS = ["CONNECT", "USER", "PASS", "LIST", "UIDL", "RETR", "NOOP", "DELE", "QUIT"]
FAULTS = ["drop", "hang", "partial", "garbage"]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("fault", FAULTS)
async def test_fault_in_one_session_loses_and_doubles_nothing(
    server, poller, stored, command, fault
):
    server.faults[command, 1] = getattr(faults, fault)

    await until_calm(poller(), times=3)

    assert (server.mails, sorted(await stored())) == ({}, ALL)


@pytest.mark.parametrize("command", ["RETR", "DELE"])
@pytest.mark.parametrize("ordinal", [1, 2, 3])
@pytest.mark.parametrize("fault", ["drop", "partial"])
async def test_fault_at_any_mail_loses_and_doubles_nothing(
    server, poller, stored, command, ordinal, fault
):
    server.faults[command, ordinal, 1] = getattr(faults, fault)

    await until_calm(poller(), times=3)

    assert (server.mails, sorted(await stored())) == ({}, ALL)


@pytest.mark.parametrize(
    "fault", ["drop", "hang", "garbage", "without_end", "not_stuffed", "partial"]
)
async def test_mail_that_never_comes_whole_stays_and_holds_up_no_other(
    server, poller, stored, fault
):
    server.faults["RETR", 1] = server.faults["RETR", 0] = lambda answer: (
        getattr(faults, fault)(answer) if b"u1@" in answer else answer
    )

    await until_calm(poller(), times=3)

    assert (list(server.mails), sorted(await stored())) == (["u1"], ["u0", "u2"])
    assert server.fetched["u1"] <= poller_module.ATTEMPTS + 3


async def test_quit_that_fails_five_times_stores_once(server, poller, stored):
    for session in range(1, 6):
        server.faults["QUIT", session] = faults.drop_before_update

    await until_calm(poller(), times=8)

    assert (server.mails, await stored()) == ({}, ALL)


async def test_server_that_never_deletes_has_its_mails_fetched_now_and_then(
    server, poller, stored, monkeypatch
):
    monkeypatch.setattr("mtabounce.sources.polled.DELETIONS", 3)
    server.deletes_at_quit = lambda _: []

    await until_calm(poller(), times=5)

    assert (list(server.mails), await stored()) == (ALL, ALL)
    assert set(server.fetched.values()) == {3}


async def test_server_that_deletes_half_has_the_rest_deleted_next_time(server, poller, stored):
    server.faults["QUIT", 1] = faults.refuse("some not removed")
    server.deletes_at_quit = lambda doomed: doomed[::2] if server.sessions == 1 else doomed

    said = await until_calm(poller(), times=2)

    assert said == ["not all could be deleted: some not removed"]
    assert (server.mails, await stored()) == ({}, ALL)


@pytest.mark.parametrize("size", [5_000, 200_000])
async def test_long_lines_are_read(server, poller, stored, size):
    server.faults["RETR", 0] = faults.long_line(size)

    await poller().poll()

    assert (server.mails, await stored()) == ({}, ALL)


async def test_line_without_end_is_cut_and_left(server, poller, stored):
    server.faults["RETR", 0] = faults.long_line(2**21)

    await until_calm(poller(), times=2)

    assert (list(server.mails), await stored()) == (ALL, [])


async def test_flood_is_cut_and_left(server, poller, stored):
    server.faults["RETR", 0] = lambda mail: faults.flood(mail) if b"u1@" in mail else mail

    await until_calm(poller(max_size=100_000), times=2)

    assert (list(server.mails), sorted(await stored())) == (["u1"], ["u0", "u2"])


async def test_mail_above_the_limit_is_left_without_being_fetched(server, poller, stored):
    server.mails["big"] = dsn("big") + b"x" * 200_000

    tally = await poller(max_size=100_000).poll()

    assert (tally.large, list(server.mails), server.fetched["big"]) == (1, ["big"], 0)
    assert await stored() == ALL


@pytest.mark.parametrize("command", ["LIST", "UIDL", "RETR"])
async def test_slow_server_is_cut_by_the_deadline(server, poller, command):
    server.faults[command, 0] = faults.slow

    async with asyncio.timeout(60):
        said = await until_calm(poller(), times=1)

    assert "no end after" in said[0] or "does not answer" in said[0]


async def test_lying_about_sizes_and_a_mail_that_is_gone_are_tolerated(server, poller, stored):
    server.faults["LIST", 1] = lambda _: b"+OK\r\n1 7\r\n2 7\r\n3 7\r\n.\r\n"
    server.faults["RETR", 2, 1] = faults.refuse("no such message")

    await until_calm(poller(), times=2)

    assert (server.mails, sorted(await stored())) == ({}, ALL)


@pytest.mark.parametrize(
    "change",
    [
        lambda server: setattr(server, "has_uidl", False),
        lambda server: server.faults.__setitem__(("UIDL", 0), faults.all_the_same),
        lambda server: server.faults.__setitem__(
            ("UIDL", 0),
            lambda _: (
                f"+OK\r\n1 n{server.sessions}\r\n2 m{server.sessions}\r\n3 o\r\n.\r\n".encode()
            ),
        ),
        lambda server: server.faults.__setitem__(
            ("UIDL", 0), lambda _: b"+OK\r\n1 a\0b\r\n2 \xff\xfe\r\n3 \r\n.\r\n"
        ),
    ],
    ids=["none", "alike", "changing", "nonsense"],
)
async def test_without_usable_ids_nothing_is_stored_twice(server, poller, stored, change):
    change(server)
    server.faults["QUIT", 1] = server.faults["QUIT", 2] = faults.drop_before_update

    await until_calm(poller(), times=4)

    assert (server.mails, sorted(await stored())) == ({}, ALL)


@pytest.mark.parametrize("new", ["new-one", "w0"])  # of another size, and of the same
async def test_id_that_is_used_again_does_not_lose_the_new_mail(server, poller, stored, new):
    await poller().poll()
    server.mails["u0"] = dsn(new)

    await poller().poll()

    assert (server.mails, await stored()) == ({}, [*ALL, new])


@pytest.mark.parametrize("text", ["[IN-USE] locked", "[SYS/TEMP] later", "[LOGIN-DELAY] wait"])
async def test_locked_mailbox_is_tried_again_soon(server, poller, text):
    server.faults["PASS", 1] = faults.refuse(text)

    with pytest.raises(MailboxError) as refusal:
        await poller().poll()

    assert not isinstance(refusal.value, MailboxRefused)
    assert str(refusal.value) == f"the server does not let bounces in: {text}"


async def test_wrong_password_is_tried_again_late(server, poller, secret, monkeypatch):
    waits = []

    async def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            raise asyncio.CancelledError

    with pytest.raises(MailboxRefused, match=r"does not let bounces in: \[AUTH\] wrong"):
        await poller(password_file=secret("wrong", "other")).poll()
    monkeypatch.setattr(poller_module.asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await poller(password_file=secret("wrong", "other")).run()
    assert min(waits) > 1200
    assert not any("wrong" in line for line in server.heard if not line.startswith("PASS"))


async def test_two_pollers_never_have_one_mailbox(server, poller, stored, connecting):
    one = poller()
    async with await connecting() as conn:
        assert await store.lock(conn, one.key)

        with pytest.raises(StoreUnavailable, match="another mtabounce is polling it"):
            await one.poll()
    await one.poll()
    assert await stored() == ALL


async def test_apop_hides_the_password(server, poller, stored, monkeypatch):
    server.faults["APOP", 0] = lambda _: b"+OK\r\n"

    await poller(apop=True).poll()

    assert any(line.startswith("APOP bounces ") for line in server.heard)
    assert not any(server.password in line for line in server.heard)
    assert await stored() == ALL


@pytest.mark.parametrize(("token", "lets_in"), [("swordfish", True), ("expired", False)])
async def test_token_of_a_command_logs_in(server, poller, stored, token, lets_in):
    polls = poller(password_file=None, oauth_command=["echo", token]).poll()

    if lets_in:
        await polls
    else:
        with pytest.raises(MailboxRefused, match="AUTH"):
            await polls
    assert await stored() == (ALL if lets_in else [])


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (["false"], "oauth_command false exited 1"),
        (["/nonexistent"], "No such file"),
        (["echo"], "gave no token"),
        (["sleep", "60"], "no end after 1 s"),
    ],
)
async def test_command_without_a_token_says_so_in_one_line(server, poller, command, why):
    with pytest.raises(MailboxError, match=why) as refusal:
        await poller(password_file=None, oauth_command=command).poll()

    assert "\n" not in str(refusal.value)


def in_tls(server, files):
    server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.tls.load_cert_chain(*files)


@pytest.fixture
async def tls_server(server):
    """A function that starts the server anew, with TLS."""

    async def start(files, *, implicit):
        await server.stop()
        in_tls(server, files)
        server.is_implicit, server.has_stls = implicit, not implicit
        await server.start()
        return server

    return start


@pytest.mark.parametrize("way", ["implicit", "starttls"])
async def test_verified_tls_works_both_ways(tls_server, poller, stored, certificate, way):
    files = certificate("localhost")
    server = await tls_server(files, implicit=way == "implicit")

    await poller(tls=way, tls_ca_file=str(files[0]), port=server.port).poll()

    assert (server.mails, await stored()) == ({}, ALL)


@pytest.mark.parametrize("way", ["implicit", "starttls"])
@pytest.mark.parametrize(
    ("name", "trusted", "why"),
    [
        ("localhost", False, "self-signed certificate"),
        ("other.example", True, "Hostname mismatch"),
        ("expired", True, "certificate has expired"),
    ],
)
async def test_certificate_that_proves_nothing_never_gets_the_password(
    tls_server, poller, certificate, way, name, trusted, why
):
    files = certificate("localhost", days=-1) if name == "expired" else certificate(name)
    server = await tls_server(files, implicit=way == "implicit")
    ca = str(files[0]) if trusted else None

    with pytest.raises(MailboxError, match=why) as refusal:
        await poller(tls=way, tls_ca_file=ca, port=server.port).poll()

    assert "\n" not in str(refusal.value)
    assert not any(line.startswith(("USER", "PASS")) for line in server.heard)


async def test_starttls_that_is_stripped_never_gets_the_password(server, poller):
    with pytest.raises(MailboxError, match="does not do STARTTLS"):
        await poller(tls="starttls").poll()

    assert server.heard == ["STLS"]


async def test_words_injected_before_tls_are_noticed(tls_server, poller, certificate):
    files = certificate("localhost")
    server = await tls_server(files, implicit=False)
    server.faults["STLS", 0] = lambda answer: answer + b"+OK injected\r\n"

    with pytest.raises(MailboxError):
        await poller(tls="starttls", tls_ca_file=str(files[0]), port=server.port).poll()

    assert server.heard == ["STLS"]


async def test_server_that_is_not_there_is_one_line(poller):
    with pytest.raises(MailboxError, match="localhost:1: ") as refusal:
        await poller(port=1).poll()

    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"username": "x\r\nDELE 1"},
        {"username": "x\0y"},
        {"host": "a\nb"},
        {"password_file": None},
        {"oauth_command": ["echo"]},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings, changes):
    with pytest.raises(ValueError, match=r"control|one line|one of"):
        settings(**changes)


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        ("x\r\nDELE 1", 0o600, "holds a line break or another control character"),
        ("a\0b", 0o600, "holds a line break or another control character"),
        ("", 0o600, "holds no secret: it is empty"),
        ("swordfish", 0o644, "is open to other users"),
        (None, 0, "cannot read the secret"),
    ],
)
async def test_secret_that_is_wrong_is_one_line_and_goes_nowhere(
    server, poller, tmp_path, text, mode, why
):
    path = tmp_path / "other"
    if text is not None:
        path.write_text(text)
        path.chmod(mode)

    with pytest.raises(ConfigError, match=why) as refusal:
        await poller(password_file=str(path)).poll()

    assert "\n" not in str(refusal.value)
    assert str(path) in str(refusal.value)
    assert not any("swordfish" in line or "DELE" in line for line in server.heard)


async def test_password_that_was_changed_needs_no_restart(server, poller, secret):
    one = poller(password_file=secret("wrong", "other"))
    with pytest.raises(MailboxRefused):
        await one.poll()

    secret(server.password, "other")

    assert (await one.poll()).stored == 3


async def test_no_host_and_no_restart_tries_a_password_more_than_three_times_an_hour(
    server, poller, secret, connecting
):
    path = secret("wrong", "other")
    for _ in range(8):
        with pytest.raises(MailboxRefused) as refusal:
            await poller(password_file=path).poll()

    assert server.heard.count("PASS wrong") == 3
    assert str(refusal.value).startswith("not tried before ")
    assert str(refusal.value).endswith("does not let bounces in: [AUTH] wrong")
    async with await connecting() as conn:
        await conn.execute("UPDATE mailboxes SET refused_at[1] = now() - interval '61 minutes'")
    for _ in range(2):
        with pytest.raises(MailboxRefused):
            await poller(password_file=path).poll()
    assert server.heard.count("PASS wrong") == 4

    secret(server.password, "other")
    os.utime(path, (time.time() + 5, time.time() + 5))
    assert (await poller(password_file=path).poll()).stored == 3
    async with await connecting() as conn:
        found = await store.standing(conn, poller().key)
    assert (found.trouble, found.refused_at, found.succeeded_at is None) == ("", [], False)


async def test_signed_return_path_is_found_in_the_headers(server, poller, connecting):
    server.mails = {"u9": b"Delivered-To: b+tok-en@b.example.org\r\nTo: <x@y.org>\r\n" + dsn("u9")}

    await poller().poll()

    async with await connecting() as conn:
        cursor = await conn.execute("SELECT forward_paths FROM inputs")
        assert await cursor.fetchone() == (["b+tok-en@b.example.org", "x@y.org"],)
