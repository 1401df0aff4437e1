"""When lines were written, where they say only half of it."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from mtabounce.logs._clock import Clock

BERLIN = ZoneInfo("Europe/Berlin")


def clock(*latest: int, zone=UTC):
    return Clock(datetime(*latest, tzinfo=UTC), zone)


@pytest.mark.parametrize(
    ("latest", "stamp", "year"),
    [
        ((2026, 1, 1, 0, 5), b"Dec 31 23:59:59", 2025),
        ((2026, 1, 1, 0, 5), b"Jan  1 00:00:01", 2026),
        ((2025, 12, 31, 23, 59), b"Jan  1 00:00:01", 2026),  # another host's clock is ahead
        ((2026, 6, 1), b"Jun  3 00:00:01", 2025),
        ((2026, 3, 1), b"Feb 29 12:00:00", 2024),
    ],
)
def test_year_is_that_of_the_last_such_day(latest, stamp, year):
    assert clock(*latest).at(stamp).year == year


def test_hour_that_comes_twice_goes_forward():
    read = clock(2026, 11, 1, zone=BERLIN)

    stamps = [b"Oct 25 02:50:00", b"Oct 25 02:59:59", b"Oct 25 02:00:01", b"Oct 25 03:00:00"]

    assert [read.at(stamp).strftime("%H:%M") for stamp in stamps] == [
        "00:50", "00:59", "01:00", "02:00",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        (b"2026-11-23T03:11:44.000997+00:00", (3, 11, 44, 997)),
        (b"2026-11-23T03:11:44.123456789Z", (3, 11, 44, 123456)),
        (b"2026-11-23T03:11:44+0100", (2, 11, 44)),
        (b"2026-11-23 03:11:44.466 -0030", (3, 41, 44, 466000)),
        (b"2026-11-23 03:11:44", (3, 11, 44)),
        (b"Nov 23 03:11:44.25", (3, 11, 44, 250000)),
    ],
)
def test_stamp_of_any_kind_is_read(stamp, expected):
    assert clock(2026, 11, 24).at(stamp) == datetime(2026, 11, 23, *expected, tzinfo=UTC)


@pytest.mark.parametrize("cached", [False, True])
def test_every_second_of_the_hour_that_comes_twice_is_in_order(cached):
    read = clock(2026, 11, 1, zone=BERLIN)
    hour = [f"Oct 25 02:{minute:02}:{second:02}" for minute in range(60) for second in (0, 30)]
    stamps = [stamp.encode() for stamp in hour + hour]

    found = [(read.hour(stamp), read.at(stamp)) if cached else read.at(stamp) for stamp in stamps]

    assert found == sorted(found)
    last = found[-1][1] if cached else found[-1]
    assert last == datetime(2026, 10, 25, 1, 59, 30, tzinfo=UTC)


def test_stamps_of_a_later_year_are_none_of_the_hour_that_comes_twice():
    read = clock(2026, 12, 31, zone=BERLIN)

    assert read.at(b"Oct 25 02:30:00") == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "stamp",
    [
        b"2026-02-30 03:11:44",
        b"Foo 11 03:11:44",
        b"Nov 31 25:00:00",
        b"0001-01-01T00:00:00+00:00",
        b"1970-01-01T00:00:09+00:00",
        b"9999-12-31T23:59:59-01:00",
        b"2099-01-01 00:00:00",
    ],
)
def test_moment_that_cannot_be_is_when_the_log_was_written(stamp):
    assert clock(2026, 11, 24).at(stamp) == datetime(2026, 11, 24, tzinfo=UTC)


@pytest.mark.parametrize(
    "stamp", [b"2026-11-23T03:41:44.000997+05:30", b"2026-11-23 03:41:44 +0530", b"Nov 22 22:11:44"]
)
def test_hour_is_one_of_utc(stamp):
    assert clock(2026, 11, 24).hour(stamp) == datetime(2026, 11, 22, 22, tzinfo=UTC)


def test_same_day_of_the_next_year_is_another_day():
    clock = Clock(datetime(2026, 11, 29, tzinfo=UTC), UTC)
    clock.at(b"Nov 29 06:25:01")
    clock.hour(b"Nov 29 06:25:01")

    clock.move(datetime(2027, 11, 29, 7, tzinfo=UTC))

    assert clock.at(b"Nov 29 06:25:01").year == 2027
    assert clock.hour(b"Nov 29 06:26:09").year == 2027
