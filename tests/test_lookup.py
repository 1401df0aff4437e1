"""The answers to Postfix: by its policy protocol, and nobody is refused in doubt."""

import asyncio
from functools import partial

import pytest

from mtabounce.config import ListenAddress
from mtabounce.errors import StoreUnavailable
from mtabounce.lookup import Lookup
from mtabounce.lookup_settings import LookupSettings
from mtabounce.store.connection import connect

REFUSED = "action=550 5.7.1 recipient is suppressed by mtabounce: user_unknown since 2026-11-23"


@pytest.fixture
async def lookup(database_url):
    one = Lookup(
        LookupSettings(listen=[ListenAddress("127.0.0.1", 0)]),
        partial(connect, database_url, application_name="test"),
    )
    async with await connect(database_url, application_name="test") as conn:
        await conn.execute(
            "INSERT INTO suppressions (recipient, type, reason, cause, action, since) VALUES"
            " ('ann@example.org', 'hard', 'user_unknown', 'hard', 'blocklist', '2026-11-23Z')"
        )
        await one.start()
        yield one
        await one.close()


async def ask(lookup, *requests):
    host, _, port = lookup.addresses[0].rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"".join(requests))
    answers = [(await reader.readuntil(b"\n\n")).decode().strip() for _ in requests]
    writer.close()
    return answers


def request(recipient, *more):
    lines = ["request=smtpd_access_policy", "protocol_state=RCPT", f"recipient={recipient}"]
    return "\n".join([*lines, *(more or ["sasl_username=a=b"]), "", ""]).encode()


async def refuses_again(lookup):
    async with asyncio.timeout(60):
        while await ask(lookup, request("ann@example.org")) != [REFUSED]:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def test_one_connection_is_asked_again_and_again(lookup):
    asked = ["ann@example.org", "bob@example.org", "Ann@Example.org", "", "ann+x@example.org"]

    answers = await ask(lookup, *map(request, asked))

    assert answers == [REFUSED, "action=DUNNO", REFUSED, "action=DUNNO", "action=DUNNO"]


async def test_quotes_that_mail_servers_take_off_are_put_on_again(lookup, database_url):
    async with await connect(database_url, application_name="test") as conn:
        await conn.execute(
            "INSERT INTO suppressions (recipient, type, reason, cause, action, since)"
            " SELECT unnest(%s::text[]), type, reason, cause, action, since FROM suppressions",
            [[r'"a b"@example.org', r'"a\"b\\c@d"@example.org']],
        )

    asked = ["a b@example.org", r'a"b\c@d@example.org', '"a b"@example.org', "a c@example.org"]
    answers = await ask(lookup, *map(request, asked))

    assert answers == [REFUSED, REFUSED, REFUSED, "action=DUNNO"]


@pytest.mark.parametrize(
    ("client", "is_ours"),
    [
        (["client_address=127.0.0.1", "sasl_username="], True),
        (["client_address=::1"], True),
        (["client_address=192.0.2.7", "sasl_username=ann"], True),
        (["helo_name=exim"], True),
        (["client_address=192.0.2.7", "sasl_username="], False),
        (["client_address=unknown"], False),
    ],
)
async def test_only_mail_of_our_own_is_refused(lookup, client, is_ours):
    answer = await ask(lookup, request("ann@example.org", *client))

    assert answer == [REFUSED if is_ours else "action=DUNNO"]


@pytest.mark.parametrize(
    "sent",
    [b"\n\n", b"\0\0=\n\n", b"recipient=\0\xff@\n\n", b"recipient\n\n", b"recipient='; DROP\n\n"],
)
async def test_nonsense_is_answered_and_harms_nobody(lookup, sent):
    assert await ask(lookup, sent, request("ann@example.org")) == ["action=DUNNO", REFUSED]


async def test_request_without_end_is_hung_up_on(lookup):
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await ask(lookup, b"x" * 200_000)

    assert await ask(lookup, request("ann@example.org")) == [REFUSED]


async def test_many_ask_at_once(lookup):
    answers = await asyncio.gather(*(ask(lookup, request("ann@example.org")) for _ in range(50)))

    assert answers == [[REFUSED]] * 50


async def test_database_that_is_away_refuses_nobody_and_is_tried_again(lookup, monkeypatch):
    refusals = lookup._refusals
    there = refusals._connect

    async def away():
        raise StoreUnavailable("away")

    monkeypatch.setattr(refusals, "_connect", away)
    assert await ask(lookup, request("ann@example.org")) == ["action=DUNNO"]
    monkeypatch.setattr(refusals, "_connect", there)

    await refuses_again(lookup)


async def test_question_that_hangs_is_waited_for_once(lookup, database_url):
    locker = await connect(database_url, application_name="locks")
    async with locker, locker.transaction():
        await locker.execute("LOCK TABLE suppressions")
        begun = asyncio.get_running_loop().time()
        for _ in range(20):
            assert await ask(lookup, request("ann@example.org")) == ["action=DUNNO"]
        assert asyncio.get_running_loop().time() - begun < 4

    await refuses_again(lookup)
