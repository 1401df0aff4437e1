"""When a log was written that has been copied, or unpacked from an archive, since."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from mtabounce.sources.written import written_at

JANUARY = datetime(2025, 1, 5, tzinfo=UTC)
NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    ("name", "modified_at", "expected"),
    [
        ("mail.log", JANUARY, JANUARY),
        ("mail.log-20250105", JANUARY, JANUARY),
        ("mail.log.1732850000", JANUARY, JANUARY),  # "dateformat .%s"
        ("mail.log-20250105.gz", NOW, JANUARY + timedelta(days=32)),
        ("mail-2025-01-05.log", NOW, JANUARY + timedelta(days=32)),
        ("mail.log-2025010523", NOW, JANUARY + timedelta(days=32)),  # by the hour
        ("mail.log", datetime.fromtimestamp(0, tz=UTC), NOW),
        ("mail.log-20250105", datetime.fromtimestamp(0, tz=UTC), JANUARY + timedelta(days=32)),
    ],
)
def test_name_says_more_than_the_time_of_a_copy(tmp_path, name, modified_at, expected):
    path = tmp_path / name
    path.touch()
    os.utime(path, (modified_at.timestamp(), modified_at.timestamp()))

    assert abs(written_at(path) - expected) < timedelta(minutes=10)
