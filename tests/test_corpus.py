"""What real servers wrote is read and judged as it was meant."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from mtabounce import classify
from mtabounce.parsers import read

FIXTURES = Path(__file__).parent.parent / "fixtures" / "dsn"
CASES = sorted(path.parent for path in FIXTURES.glob("*/*/expected.toml"))
JUDGED = ("type", "reason")


@pytest.fixture(scope="module")
def classifier():
    return classify.load()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_report_of_a_real_server_is_read_and_judged(case, classifier):
    expected = tomllib.loads((case / "expected.toml").read_text())

    reading = read((case / "message.eml").read_bytes())

    assert expected["origin"]
    assert reading.outcome == expected["outcome"]
    assert reading.parser == expected.get("parser", "")
    assert reading.relayed == expected["relayed"]
    assert len(reading.reports) == len(expected.get("report", []))
    for report, fields in zip(reading.reports, expected.get("report", []), strict=True):
        judged = classifier.classify(report)
        assert said_by(report, judged, fields) == fields


def said_by(report: Any, judged: Any, fields: dict[str, str]) -> dict[str, str]:
    """Return those of *fields* that a report and its verdict have, as text."""
    return {name: str(getattr(judged if name in JUDGED else report, name) or "") for name in fields}


def test_ten_mail_systems_and_more_than_a_hundred_cases_are_there():
    assert len({case.parent.name for case in CASES}) >= 10
    assert len(CASES) >= 120


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_expectation_says_whom_what_and_why(case):
    expected = tomllib.loads((case / "expected.toml").read_text())

    assert {"origin", "outcome", "relayed"} <= expected.keys()
    for fields in expected.get("report", []):
        assert {"final_recipient", "action", *JUDGED} <= fields.keys()
