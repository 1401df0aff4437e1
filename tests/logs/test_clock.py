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


@pytest.mark.parametrize("stamp", [b"2026-02-30 03:11:44", b"Foo 11 03:11:44", b"Nov 31 25:00:00"])
def test_impossible_day_is_the_first_of_all(stamp):
    assert clock(2026, 11, 24).at(stamp).year == 1970


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
