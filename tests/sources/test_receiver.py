import asyncio

import pytest

from mtabounce.errors import StoreUnavailable, TryAgainLater

OURS = "bounces@b.example.org"


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
