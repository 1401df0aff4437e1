"""Each rule that we ship: its own examples, its place among the others, its cost."""

import pytest

from mtabounce.classify import load
from mtabounce.classify.examples import judge_example
from mtabounce.classify.lint import is_linear

CLASSIFIER = load()
RULES = {rule.id: rule for rule in CLASSIFIER.rules}
MATCHES = [(rule.id, example) for rule in CLASSIFIER.rules for example in rule.match]
NO_MATCHES = [(rule.id, example) for rule in CLASSIFIER.rules for example in rule.no_match]


@pytest.mark.parametrize(("rule_id", "example"), MATCHES, ids=map(str, range(len(MATCHES))))
def test_rule_decides_its_own_example(rule_id, example):
    verdict = judge_example(CLASSIFIER, RULES[rule_id], example)

    assert verdict.rule == rule_id, f"{example!r}, by {verdict.matched!r}"


@pytest.mark.parametrize(("rule_id", "example"), NO_MATCHES, ids=map(str, range(len(NO_MATCHES))))
def test_rule_leaves_the_others_alone(rule_id, example):
    verdict = judge_example(CLASSIFIER, RULES[rule_id], example)

    assert verdict.rule != rule_id, f"{example!r}, by {verdict.matched!r}"


@pytest.mark.parametrize("rule", CLASSIFIER.rules, ids=lambda rule: rule.id)
def test_rule_says_where_it_comes_from_and_shows_examples(rule):
    assert rule.source
    assert rule.match
    assert rule.no_match


@pytest.mark.parametrize("rule", CLASSIFIER.rules, ids=lambda rule: rule.id)
def test_pattern_compiles_and_has_words_to_look_for(rule):
    for pattern in rule.text:
        pattern.check()

        assert pattern.needs, f"would be tried on every text: {pattern.source}"


@pytest.mark.parametrize("rule", CLASSIFIER.rules, ids=lambda rule: rule.id)
def test_pattern_takes_linear_time_on_a_text_made_against_it(rule):
    slow = [pattern.source for pattern in rule.text if not is_linear(pattern)]

    assert slow == []


def test_every_reason_is_given_by_a_rule():
    used = {rule.reason for rule in CLASSIFIER.rules}

    assert set(CLASSIFIER.reasons) == used


def test_operator_is_known_by_the_end_of_the_host_name():
    assert CLASSIFIER.operators.of("alt1.gmail-smtp-in.l.google.com") == "google"
    assert (
        CLASSIFIER.operators.of("example.mail.protection.outlook.com [192.0.2.1]:25") == "microsoft"
    )
    assert CLASSIFIER.operators.of("notgoogle.com") == ""
