"""Who guesses tokens has to wait, and locks out nobody else."""

import pytest

from mtabounce.store.connection import connect_sync
from mtabounce.store.tokens import revoke
from mtabounce.web import callers
from mtabounce.web.callers import TRIES, Callers, NotKnown
from mtabounce.web.request import Refused

WRONG = "Bearer wrong"


async def outcomes(who, authorization, peers):
    found = []
    for peer in peers:
        try:
            await who.identify(authorization, peer)
        except NotKnown:
            found.append("unknown")
        except Refused as error:
            found.append("wait" if error.status == 429 and 0 < error.retry_after <= 60 else error)
        else:
            found.append("known")
    return found


async def test_address_with_many_wrong_tokens_waits(pool, tokens):
    who, right = Callers(pool.connection), f"Bearer {tokens['read']}"

    tries = await outcomes(who, WRONG, ["192.0.2.1"] * (TRIES + 5))

    assert tries == ["unknown"] * TRIES + ["wait"] * 5
    assert await outcomes(who, right, ["192.0.2.1"]) == ["wait"]  # a guess that were right
    assert await outcomes(who, right, ["192.0.2.2"]) == ["known"]


async def test_whoever_was_right_before_is_not_kept_out(pool, tokens, database_url):
    who, right = Callers(pool.connection), f"Bearer {tokens['read']}"
    assert await outcomes(who, right, ["192.0.2.1"]) == ["known"]

    await outcomes(who, WRONG, ["192.0.2.1"] * TRIES)

    assert await outcomes(who, WRONG, ["192.0.2.1"]) == ["wait"]
    assert await outcomes(who, right, ["192.0.2.1"]) == ["known"]
    with connect_sync(database_url, application_name="test") as conn:
        revoke(conn, "read")
    assert await outcomes(who, right, ["192.0.2.1"] * 2) == ["unknown", "wait"]


async def test_who_has_waited_may_try_again(pool, tokens, monkeypatch):
    who = Callers(pool.connection)
    await outcomes(who, WRONG, ["192.0.2.1"] * TRIES)
    later = callers.monotonic() + callers.PERIOD
    monkeypatch.setattr(callers, "monotonic", lambda: later)

    assert await outcomes(who, WRONG, ["192.0.2.1"]) == ["unknown"]


@pytest.mark.parametrize(
    ("peers", "last"),
    [
        ([f"2001:db8::{number}" for number in range(TRIES + 1)], "wait"),  # one /64
        ([f"2001:db8:{number}::1" for number in range(TRIES + 1)], "unknown"),
        (["::ffff:192.0.2.1", "192.0.2.1"] * TRIES, "wait"),
        (["not an address"] * (TRIES + 1), "wait"),
    ],
)
async def test_addresses_of_one_network_count_as_one(pool, peers, last):
    assert (await outcomes(Callers(pool.connection), WRONG, peers))[-1] == last


async def test_memory_of_wrong_tokens_is_bounded(pool, monkeypatch):
    monkeypatch.setattr(callers, "_REMEMBERED", 5)
    who = Callers(pool.connection)

    await outcomes(who, WRONG, [f"192.0.2.{number}" for number in range(20)])

    assert len(who._failed.tries) == 5


async def test_wait_is_told_over_http(serving, everything):
    async with serving(everything) as ask:
        for path in ("/api/v1/bounces", "/api/bounces"):
            for _ in range(TRIES):
                await ask("GET", path, None, {"Authorization": WRONG})
            status, said, headers = await ask("GET", path, None, {"Authorization": WRONG})

            assert status == 429
            assert said["message"].startswith("too many failed logins: wait ")
            assert 0 < int(headers["retry-after"]) <= 60
