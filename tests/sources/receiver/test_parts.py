"""The pure parts, with anything that can be thrown at them."""

from ipaddress import ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mtabounce.network import Peer, Slots
from mtabounce.sources._data import NO_ROOM, TOO_LARGE, Collector, Room
from mtabounce.sources._limits import Pace
from mtabounce.sources._paths import forward_path, own_addresses, reverse_path

TRICKY = st.lists(
    st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"\r\n.", b"\r\n..", b"a", b"\x00", b"xyz"]),
    max_size=30,
).map(b"".join)


def collect(stream, cuts, limit=10_000):
    """Feed *stream* cut at *cuts*; return the collector, and what followed the mail."""
    collector, rest, start = Collector(limit, Room(2**30)), None, 0
    for end in [*sorted({min(cut, len(stream)) for cut in cuts}), len(stream)]:
        if rest is not None:
            rest += stream[start:end]
        else:
            rest = collector.feed(stream[start:end])
        start = end
    return collector, rest


@given(mail=TRICKY, rest=TRICKY, cuts=st.lists(st.integers(0, 100)))
@example(mail=b".", rest=b".\r\n", cuts=[0, 1, 2, 3, 4, 5])
def test_mail_comes_out_as_it_went_in_however_it_is_cut(mail, rest, cuts):
    mail += b"\r\n"
    stuffed = (b"\r\n" + mail).replace(b"\r\n.", b"\r\n..")[2:]

    collector, followed = collect(stuffed + b".\r\n" + rest, cuts)

    assert (collector.content, collector.refusal, followed) == (mail, "", rest)
    assert collector.seen == len(stuffed) + 3


@given(mail=TRICKY, cuts=st.lists(st.integers(0, 3_000_000)))
def test_end_of_a_mail_that_is_too_large_is_found_however_it_is_cut(mail, cuts):
    stuffed = (b"\r\n" + b"x" * 2_500_000 + mail).replace(b"\r\n.", b"\r\n..")[2:]

    collector, followed = collect(stuffed + b"\r\n.\r\nNOOP", cuts, limit=1000)

    assert (collector.refusal, followed) == (TOO_LARGE, b"NOOP")


def test_room_is_shared_and_given_back():
    room = Room(3 * 2**20)
    first, second = Collector(2**21, room), Collector(2**21, room)
    first.feed(b"x" * 2**21)
    second.feed(b"x" * 2**21)
    assert (first.refusal, second.refusal) == ("", NO_ROOM)
    assert room.held == 2**21

    first.release()
    first.release()
    second.release()

    assert room.held == 0


@given(st.text())
@example("TO:<a@b>" + " " * 1000)
@example('FROM:<"' + '"' * 1000)
@example('FROM:<"' + "\\" * 4000)
@example("FROM:" + "<" * 4000)
def test_any_argument_gives_an_address_or_none(text):
    for arg in (text, f"TO:<{text}>", f"FROM:<{text}>"):
        path, sender = forward_path(arg), reverse_path(arg)
        assert path is None or (path.count("@") == 1 and min(path) > " ")
        assert sender is None or sender[1] >= 0
        assert own_addresses(["a@b"])(path or "") in (False, path in ("a@b", "A@B"))


@pytest.mark.parametrize(
    ("host", "network", "trusted"),
    [
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.3.7", "192.0.3.7", False),
        ("::ffff:192.0.2.7", "192.0.2.7", True),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", False),
        ("fe80::1%eth0", "fe80::/64", False),
    ],
)
def test_peer_is_counted_by_its_network(host, network, trusted):
    peer = Peer.at(host, [ip_network("192.0.2.0/24")])

    assert (peer.network, peer.trusted) == (network, trusted)


def test_strangers_leave_a_slot_to_trusted_peers():
    slots = Slots(20, 100)
    stranger, own = Peer.at("192.0.2.1", []), Peer.local()

    refusals = [slots.take(stranger) for _ in range(20)]

    assert refusals == [""] * 18 + ["too_many"] * 2
    assert [slots.take(own) for _ in range(3)] == ["", "", "too_many"]


def test_slots_forget_those_who_left():
    slots = Slots(10, 2)
    peer = Peer("192.0.2.1", "192.0.2.1", trusted=False)

    refusals = [slots.take(peer) for _ in range(3)]
    slots.give_back(peer)
    slots.give_back(peer)

    assert refusals == ["", "", "too_many_of_peer"]
    assert (slots.taken, slots.used) == (0, {})


def test_pace_allows_a_slow_line_but_no_drip(monkeypatch):
    now = 0.0
    monkeypatch.setattr("mtabounce.sources._limits.monotonic", lambda: now)
    pace = Pace(0.0, 0.0)
    pace.begin_data()
    pace.data_bytes, now = 500 * 60, 89.0
    assert not pace.is_overdue(idle=30, transaction=300)
    pace.data_bytes, now = 60, 89.0
    assert pace.is_overdue(idle=30, transaction=300)
    pace.end_data()
    assert not pace.is_overdue(idle=30, transaction=300)
