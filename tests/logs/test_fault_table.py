"""The table of faults in the documents names tests that there are."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_each_fault_has_its_tests():
    table = (ROOT / "docs" / "log-faults.md").read_text()
    faults = [line.split("|") for line in table.splitlines() if re.match(r"\| \d", line)]
    there_are = set()
    for file in (ROOT / "tests").rglob("test_*.py"):
        there_are |= set(re.findall(r"^(?:async )?def (test_\w+)", file.read_text(), re.MULTILINE))

    assert [int(number) for _, number, *_ in faults] == list(range(1, len(faults) + 1))
    for *_, named, _ in faults:
        tests = re.findall(r"`(test_\w+)`", named)
        assert tests
        assert set(tests) <= there_are
