"""What a client that behaves sees."""

import asyncio
import smtplib

import pytest
from prometheus_client import REGISTRY

from mtabounce.errors import StoreUnavailable, TryAgainLater
from mtabounce.pipeline.return_paths import signed_with, today
from mtabounce.verp import Keyring

OURS = "bounces@b.example.org"
REFUSED = "550 5.7.1 not accepted here"


def counted(name, **labels):
    return REGISTRY.get_sample_value(f"mtabounce_receiver_{name}_total", labels) or 0


async def test_mail_is_kept_exactly_as_it_came(start):
    running = await start()
    client = await running.connect()

    reply = await client.deliver(b"Subject: x\r\n\r\n..dot\r\n\xff\x00 bare\nlf\rcr\r\nend")

    assert reply == "250 2.0.0 kept"
    (raw,) = running.kept
    assert raw.content == b"Subject: x\r\n\r\n.dot\r\n\xff\x00 bare\nlf\rcr\r\nend\r\n"
    assert (raw.source, raw.reverse_path, raw.forward_paths) == ("receiver", "", (OURS,))
    assert (raw.peer, raw.trusted) == ("127.0.0.1", True)
    assert raw.received_at.utcoffset() is not None


async def test_mail_gets_250_only_after_it_was_accepted(start):
    is_durable = asyncio.Event()

    async def accept(raw):
        await is_durable.wait()

    client = await (await start(accept)).connect()
    await client.begin()
    client.send_bytes(b"x\r\n.\r\n")
    reply = asyncio.create_task(client.hear())
    await asyncio.sleep(0.1)
    too_early = reply.done()
    is_durable.set()

    assert not too_early
    assert await reply == "250 2.0.0 kept"


@pytest.mark.parametrize(
    "error",
    [TryAgainLater("x"), StoreUnavailable("secret"), RuntimeError("secret"), OSError(5, "secret")],
    ids=repr,
)
async def test_mail_that_cannot_be_kept_is_put_off_without_a_word_why(start, error):
    async def accept(raw):
        raise error

    client = await (await start(accept)).connect()

    assert await client.deliver(b"x") == "451 4.3.0 try again later"
    assert (await client.ask("NOOP")).startswith("250")


async def test_mail_that_takes_too_long_to_keep_is_put_off(start, monkeypatch):
    monkeypatch.setattr("mtabounce.sources._smtp._COMMIT", 0.1)

    async def accept(raw):
        await asyncio.sleep(60)

    client = await (await start(accept)).connect()

    assert await client.deliver(b"x") == "451 4.3.0 try again later"


async def test_trouble_with_a_recipient_is_a_reason_to_try_again(start):
    def is_ours(path):
        raise RuntimeError("secret")

    client = await (await start(is_ours=is_ours)).connect()
    await client.ask("EHLO x")
    await client.ask("MAIL FROM:<>")

    assert await client.ask(f"RCPT TO:<{OURS}>") == "451 4.3.0 try again later"


async def test_standard_library_delivers_with_its_own_client(start):
    running = await start()
    host, _, port = running.receiver.addresses[0].partition(":")

    def send():
        with smtplib.SMTP(host, int(port)) as smtp:
            smtp.sendmail("a@x.example", [OURS], "Subject: x\n\n.\n.dot\nlast\n")

    await asyncio.to_thread(send)

    assert running.kept[0].content == b"Subject: x\r\n\r\n.\r\n.dot\r\nlast\r\n"
    assert running.kept[0].reverse_path == "a@x.example"


async def test_empty_mail_is_a_mail(start):
    running = await start()
    client = await running.connect()
    await client.begin()

    assert await client.ask(".") == "250 2.0.0 kept"
    assert running.kept[0].content == b""


async def test_several_mails_come_over_one_connection(start):
    running = await start()
    client = await running.connect()

    for number in range(30):
        assert await client.deliver(b"mail %d" % number) == "250 2.0.0 kept"

    assert [raw.content for raw in running.kept] == [b"mail %d\r\n" % n for n in range(30)]
    assert await client.ask("QUIT") == "221 2.0.0 bye"
    assert await client.hear() == ""


async def test_whole_session_in_one_packet_is_answered_in_order(start):
    running = await start()
    client = await running.connect()
    one = f"MAIL FROM:<>\r\nRCPT TO:<{OURS}>\r\nRCPT TO:<x y>\r\nDATA\r\nfirst\r\n.\r\n"

    client.send_bytes(f"EHLO x\r\n{one}NOOP\r\n{one.replace('first', '.second')}QUIT\r\n".encode())

    codes = [reply[:3] for reply in await client.hear_all()]
    mail = ["250", "250", "550", "354", "250"]
    assert codes == ["250", *mail, "250", *mail, "221"]
    assert [raw.content for raw in running.kept] == [b"first\r\n", b"second\r\n"]


async def test_replies_are_the_same_however_the_bytes_are_cut(start):
    running = await start()
    client = await running.connect()
    session = (
        f"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<{OURS}>\r\nDATA\r\n..a\r\n.b\r\n\r\n.\r\nQUIT\r\n"
    )

    for byte in session.encode():
        client.send_bytes(bytes([byte]))
        await client.writer.drain()
        await asyncio.sleep(0.001)

    codes = [reply[:3] for reply in await client.hear_all()]
    assert codes == ["250", "250", "250", "354", "250", "221"]
    assert running.kept[0].content == b".a\r\nb\r\n\r\n"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("<>", ""),
        ("<> BODY=8BITMIME SMTPUTF8", ""),
        ("<> RET=HDRS ENVID=QQ314159+2Bx SIZE=1000", ""),
        ("<a@x.example> AUTH=<> MT-PRIORITY=3 XUNKNOWN", "a@x.example"),
        (" <a@x.example>", "a@x.example"),
        ("a@x.example", "a@x.example"),
        ('<"a b>c"@x.example>', '"a b>c"@x.example'),
        ("<@relay.example,@other.example:a@x.example>", "a@x.example"),
        ("<jörg@bücher.example> SMTPUTF8", "jörg@bücher.example"),
        ("<MAILER-DAEMON>", "MAILER-DAEMON"),
        ("<list+user=domain.example@x.example>", "list+user=domain.example@x.example"),
        (f"<{'a' * 300}@x.example>", f"{'a' * 300}@x.example"),
    ],
)
async def test_any_kind_of_sender_may_send(start, given, kept):
    running = await start()
    client = await running.connect()

    assert await client.deliver(b"x", sender=given) == "250 2.0.0 kept"
    assert running.kept[0].reverse_path == kept


@pytest.mark.parametrize("given", ["", "FROM", "FROM:", "TO:<a@b>", "FROM:<a", "FROM:<a\x00b@c>"])
async def test_what_is_no_sender_is_a_syntax_error(start, given):
    client = await (await start()).connect()
    await client.ask("EHLO x")

    assert (await client.ask(f"MAIL {given}")).startswith("501 5.5.4")


async def test_recipients_take_the_parameters_of_delivery_notifications(start):
    running = await start()
    client = await running.connect()
    await client.ask("EHLO x")
    await client.ask("MAIL FROM:<>")

    reply = await client.ask(f"RCPT TO:<{OURS}> NOTIFY=NEVER ORCPT=rfc822;a+2Bb@x.example")

    assert reply == "250 2.1.5 ok"


@pytest.mark.parametrize(
    "recipient",
    [
        "bounces@b.example.org",
        "BOUNCES@B.Example.ORG",
        "bounces+x=y.example@b.example.org",
        "any.thing@all.example.org",
        "bounces@bücher.example",
        "bounces@xn--bcher-kva.example",
    ],
)
async def test_our_addresses_are_taken(start, recipient):
    running = await start(return_paths=[OURS, "@all.example.org", "bounces@Bücher.example"])

    assert await (await running.connect()).deliver(b"x", recipient) == "250 2.0.0 kept"
    assert running.kept[0].forward_paths == (recipient,)


@pytest.mark.parametrize(
    "given",
    [
        "<other@b.example.org>",
        "<bounces@example.org>",
        "<bounces@c.b.example.org>",
        "<x+bounces@b.example.org>",
        "<bounces@b.example.org@evil.example>",
        "<evil%x.example@b.example.org>",
        "<x.example!bounces@b.example.org>",
        "<@evil.example:bounces@b.example.org>",
        '<"bounces"@b.example.org>',
        '<"a@x.example"@b.example.org>',
        "<bounces@[127.0.0.1]>",
        "<bounces>",
        "<postmaster>",
        "<>",
        "",
        f"<{'a' * 470}@all.example.org>",
        "<boun\x00ces@all.example.org>",
        "<boun\rces@all.example.org>",
        "<boun ces@all.example.org>",
        "<bounces@all.example.org",
        "<a@all.example.org>x",
        "<\udcff@all.example.org>",
    ],
)
async def test_any_other_address_is_refused_with_one_text(start, given):
    running = await start(return_paths=[OURS, "@all.example.org"])
    client = await running.connect()
    await client.ask("EHLO x")
    await client.ask("MAIL FROM:<>")
    before = counted("rejected_recipients")

    client.send_bytes(b"RCPT TO:%s\r\n" % given.encode("utf-8", "surrogateescape"))

    assert await client.hear() == REFUSED
    assert counted("rejected_recipients") == before + 1
    assert (await client.ask("DATA")).startswith("503")


async def test_commands_out_of_order_are_refused(start):
    client = await (await start()).connect()

    assert (await client.ask("MAIL FROM:<>")).startswith("503")
    assert (await client.ask("EHLO")).startswith("501")
    assert (await client.ask("HELO x")).startswith("250 ")
    assert (await client.ask(f"RCPT TO:<{OURS}>")).startswith("503")
    assert (await client.ask("DATA")).startswith("503")
    assert (await client.ask("MAIL FROM:<>")).startswith("250")
    assert (await client.ask("MAIL FROM:<>")).startswith("503")
    assert (await client.ask("DATA")).startswith("503")
    assert (await client.ask(f"RCPT TO:<{OURS}>")).startswith("250")
    assert (await client.ask("RSET")).startswith("250")
    assert (await client.ask("DATA")).startswith("503")


@pytest.mark.parametrize(
    "command", ["AUTH PLAIN AAAA", "EXPN a", "HELP", "TURN", "GET / HTTP/1.1", "", "\xff"]
)
async def test_commands_that_we_have_not_are_refused(start, command):
    client = await (await start()).connect()
    await client.ask("EHLO x")

    assert await client.ask(command) == "502 5.5.1 command not known"


async def test_vrfy_tells_nothing(start):
    client = await (await start(return_paths=[OURS])).connect()

    replies = {await client.ask(f"VRFY {name}") for name in (OURS, "nobody", "\xff\x00")}

    assert replies == {"252 2.5.0 send it and see"}


async def test_ehlo_offers_what_we_can_do_and_no_more(start):
    client = await (await start(max_size="1MB", hostname="mx.example.org")).connect()

    offers = (await client.ask("EHLO x")).split("|")

    assert client.greeting == "220 mx.example.org ESMTP mtabounce"
    assert {offer[4:] for offer in offers[1:]} == {
        "SIZE 1000000",
        "8BITMIME",
        "SMTPUTF8",
        "ENHANCEDSTATUSCODES",
        "PIPELINING",
    }


async def test_mail_at_the_limit_is_taken_whatever_its_dots(start):
    running = await start(max_size=100_000)
    client = await running.connect()
    mail = (b"." * 998 + b"\r\n") * 100

    reply = await client.deliver(mail.replace(b"\r\n.", b"\r\n..").removesuffix(b"\r\n"))

    assert reply == "250 2.0.0 kept"
    assert running.kept[0].content == mail.removeprefix(b".")


async def test_mail_over_the_limit_is_refused_after_its_end_and_the_session_goes_on(start):
    running = await start(max_size=100_000)
    client = await running.connect()
    before = counted("messages", reply="5xx")

    assert await client.deliver(b"x" * 99_999) == "552 5.3.4 message too large"
    assert await client.deliver(b"x\r\n" * 1_000_000) == "552 5.3.4 message too large"
    assert await client.deliver(b"x" * 99_998) == "250 2.0.0 kept"
    assert [len(raw.content) for raw in running.kept] == [100_000]
    assert counted("messages", reply="5xx") == before + 2


@pytest.mark.parametrize("size", ["100001", "9" * 30, "9" * 4000])
async def test_mail_that_says_it_is_over_the_limit_is_refused_at_once(start, size):
    client = await (await start(max_size=100_000)).connect()
    await client.ask("EHLO x")

    assert await client.ask(f"MAIL FROM:<> SIZE={size}") == "552 5.3.4 message too large"
    assert await client.ask("MAIL FROM:<> SIZE=100000") == "250 2.1.0 ok"


@pytest.mark.parametrize("length", [2_000, 70_000, 1_048_576, 5_000_000])
async def test_lines_of_any_length_are_taken(start, length):
    running = await start()
    mail = b"Subject: x\r\n\r\n" + b"y" * length

    assert await (await running.connect()).deliver(mail) == "250 2.0.0 kept"
    assert running.kept[0].content == mail + b"\r\n"


async def test_twenty_recipients_are_taken_and_the_next_put_off(start):
    running = await start()
    client = await running.connect()
    recipients = [f"r{number}@b.example.org" for number in range(20)]
    await client.ask("EHLO x")
    await client.ask("MAIL FROM:<>")

    replies = [await client.ask(f"RCPT TO:<{path}>") for path in [*recipients, OURS]]
    await client.ask("DATA")
    await client.ask("x\r\n.")

    assert [reply[:3] for reply in replies] == ["250"] * 20 + ["452"]
    assert running.kept[0].forward_paths == tuple(recipients)


async def test_counters_tell_what_became_of_the_mails(start):
    client = await (await start()).connect()
    mails, size = counted("messages", reply="250"), counted("bytes")

    await client.deliver(b"12345678")

    assert counted("messages", reply="250") == mails + 1
    assert counted("bytes") >= size + 10


async def test_lmtp_answers_for_each_recipient(start):
    running = await start(lmtp_listen=["127.0.0.1:0"])
    client = await running.connect(running.receiver.addresses[1])

    first = await client.deliver(b"x", "a@b.example.org", "b@b.example.org", hello="LHLO")
    second = await client.hear()

    assert client.greeting.endswith(" LMTP mtabounce")
    assert (first, second) == ("250 2.0.0 kept", "250 2.0.0 kept")
    assert running.kept[0].forward_paths == ("a@b.example.org", "b@b.example.org")
    assert (await client.ask("EHLO x")).startswith("502")
    assert (await client.ask("NOOP")).startswith("250")


async def test_lmtp_puts_off_for_each_recipient(start):
    async def accept(raw):
        raise TryAgainLater("x")

    running = await start(accept, lmtp_listen=["127.0.0.1:0"])
    client = await running.connect(running.receiver.addresses[1])

    await client.deliver(b"x", "a@b.example.org", "b@b.example.org", hello="LHLO")
    second = await client.hear()

    assert second == "451 4.3.0 try again later"
    assert (await client.ask("NOOP")).startswith("250")


async def test_smtp_is_not_lmtp(start):
    client = await (await start()).connect()

    assert (await client.ask("LHLO x")).startswith("502")


async def test_signed_return_path_alone_is_taken_where_it_is_required(start):
    ring = Keyring("b.example.org", {"a": b"correct horse battery staple"})
    running = await start(is_ours=signed_with(ring))
    client = await running.connect()
    await client.ask("EHLO client.example")
    await client.ask("MAIL FROM:<>")

    good = ring.sign(17, today())
    forged = good.replace("-", "x-")
    expired = ring.sign(17, today() - 100)

    assert (await client.ask(f"RCPT TO:<{good.upper()}>")).startswith("250")
    assert (await client.ask(f"RCPT TO:<{expired}>")).startswith("250")  # kept as a claim
    for other in (forged, OURS, "b+17@b.example.org", "ann@example.net"):
        assert await client.ask(f"RCPT TO:<{other}>") == REFUSED
