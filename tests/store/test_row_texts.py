"""What rows look like on their way into PostgreSQL."""

import json
from datetime import UTC, datetime

import pytest

from mtabounce.model import Action
from mtabounce.store.rows import as_json
from mtabounce.store.text import clean_text


def test_every_character_is_as_clean_as_by_itself():
    for start in [*range(0, 0x3000, 0x80), *range(0xD780, 0xE080, 0x80), 0xFF80, 0x1F600, 0x10FF80]:
        text = [chr(start + number) for number in range(0x80)]

        found = json.loads(as_json({"text": f"a{one}b", "deep": {"list": [one]}} for one in text))

        assert found == [
            {"text": clean_text(f"a{one}b"), "deep": {"list": [clean_text(one)]}} for one in text
        ]


def test_one_odd_character_among_plain_rows_is_found():
    for odd in ("\0", "\n", "\x1f", "\x7f", "\x85", "\x9f", "\u2028", "\ud800", "\udfff"):
        rows = [{"text": "plain"}, {"text": f"x{odd}y"}, {"text": 'a "quoted" \\ one'}]

        found = json.loads(as_json(rows))

        assert [row["text"] for row in found] == [clean_text(row["text"]) for row in rows]


def test_values_have_the_form_that_postgresql_reads():
    at = datetime(2026, 11, 29, 1, 2, 3, 456789, tzinfo=UTC)
    row = {"key": b"\x00\xff", "at": at, "action": Action.FAILED, "none": None, "list": ("a", 1)}

    (found,) = json.loads(as_json([row]))

    assert datetime.fromisoformat(found.pop("at")) == at
    assert found == {"key": "00ff", "action": "failed", "none": None, "list": ["a", 1]}


def test_value_without_a_form_is_refused():
    with pytest.raises(TypeError, match="no place in a row"):
        as_json([{"value": object()}])
