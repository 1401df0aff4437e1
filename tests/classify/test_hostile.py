"""No field of a report makes judging slow, whatever stands in it: it takes time by its length.

Times are compared with each other, never with a clock's seconds: machines differ, and are busy.
"""

import time
from dataclasses import replace

import pytest

from mtabounce.classify import load
from mtabounce.classify.operators import Operators
from mtabounce.classify.reply import LONGEST
from mtabounce.model import Outcome, Report

CLASSIFIER = load()
REJECTED = Report(
    outcome=Outcome.BOUNCE,
    final_recipient="ann@example.org",
    diagnostic_code="550 5.7.1 message rejected",
)
FIELDS = ["diagnostic_code", "remote_mta", "final_recipient", "command", "feedback_type"]
UNITS = ["a", "a.", "-", "<", "@", "[", "[a.", '"', "5.1.1 ", "550 ", "a@b ", " ", "\\n", "İ"]
UNITS += ["host ", "host a", "https://", "said: ", "(in reply to ", "from ", ": "]
STARTS = ["", "550 5.1.1 user unknown ", "host x[192.0.2.1] said: "]
LENGTH = LONGEST  # characters
GROWTH = 3.0  # what is quadratic takes four times as long for twice the text
TRIES = 40  # until noise is ruled out


def seconds(report):
    """Return the CPU time of one verdict."""
    start = time.thread_time()
    CLASSIFIER.classify(report)
    return time.thread_time() - start


def is_linear(half, whole):
    """Whether *whole* takes no more than twice as long as *half*, by the best of some tries."""
    once, twice = seconds(half), seconds(whole)
    for _ in range(TRIES):
        if twice < GROWTH * once:
            return True
        once, twice = min(once, seconds(half)), min(twice, seconds(whole))
    return False


@pytest.mark.parametrize("field", FIELDS)
def test_long_field_is_judged_in_linear_time(field):
    texts = [(start + unit * LENGTH)[:LENGTH] for start in STARTS for unit in UNITS]

    slow = [
        text[:40]
        for text in texts
        if not is_linear(
            replace(REJECTED, **{field: text[: LENGTH // 2]}), replace(REJECTED, **{field: text})
        )
    ]

    assert slow == []


@pytest.mark.parametrize("unit", UNITS)
def test_long_host_is_judged_in_linear_time_by_rules_for_operators(unit):
    examples = [rule.match[0] for rule in CLASSIFIER.rules if rule.operator and rule.text]
    said = [replace(REJECTED, diagnostic_code=text) for text in examples if isinstance(text, str)][
        ::8
    ]
    host = (unit * LENGTH)[:LENGTH]

    slow = [
        report.diagnostic_code
        for report in said
        if not is_linear(
            replace(report, remote_mta=host[: LENGTH // 2]), replace(report, remote_mta=host)
        )
    ]

    assert slow == []


@pytest.mark.parametrize("labels", [0, 1, 120])
def test_host_beside_other_words_has_its_operator(labels):
    host = "a." * labels + "example.com"

    assert Operators({"example.com": "example"}).of(f"mx {host} [192.0.2.1]:25") == "example"


@pytest.mark.parametrize("host", ["a" * 8000, "a." * 4000 + "example.com", "example.com." * 700])
def test_what_is_too_long_for_a_host_has_none(host):
    assert Operators({"example.com": "example"}).of(host) == ""


def test_codes_that_no_rule_names_take_no_memory():
    for code in range(400, 600):
        for detail in range(0, 1000, 100):
            CLASSIFIER.classify_reply(f"{code} 5.999.{detail} no words here")

    assert CLASSIFIER._index._conditions._of_named.cache_info().currsize < 200
