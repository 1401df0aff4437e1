"""The index is a short cut: it finds the rule that trying them one by one would find."""

import pytest

from mtabounce.classify import load
from mtabounce.model import Action, EnhancedStatus, Outcome, Report

CLASSIFIER = load()
TEXTS = sorted(
    {text for rule in CLASSIFIER.rules for text in rule.match if isinstance(text, str) and text}
)
CODES = ("", "550 ", "451 4.7.1 ", "554 5.7.1 ", "550 5.1.1 ", "552 5.2.2 ", "421 ")


def report_with(text, status):
    return Report(
        outcome=Outcome.BOUNCE,
        final_recipient="ann@example.org",
        action=Action.FAILED,
        status=status,
        diagnostic_code=text,
    )


@pytest.mark.parametrize("code", CODES)
def test_indexed_rules_are_those_found_one_by_one(code):
    for text in TEXTS[:: len(CODES)]:
        report = report_with(code + text.lstrip("0123456789. "), EnhancedStatus(5, 0, 0))

        slowly = CLASSIFIER.matches(report)

        assert CLASSIFIER.classify(report).rule == (slowly[0][0].id if slowly else "undetermined")
