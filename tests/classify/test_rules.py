"""Each rule that we ship: its own examples, its place among the others, its cost."""

import random
import time

import pytest

from mtabounce.classify import load
from mtabounce.classify.examples import judge_example
from mtabounce.classify.pattern import Pattern

CLASSIFIER = load()
RULES = {rule.id: rule for rule in CLASSIFIER.rules}
MATCHES = [(rule.id, example) for rule in CLASSIFIER.rules for example in rule.match]
NO_MATCHES = [(rule.id, example) for rule in CLASSIFIER.rules for example in rule.no_match]
PATTERNS = [(rule.id, pattern) for rule in CLASSIFIER.rules for pattern in rule.text]


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


@pytest.mark.parametrize(("rule_id", "pattern"), PATTERNS, ids=map(str, range(len(PATTERNS))))
def test_pattern_compiles_and_has_words_to_look_for(rule_id, pattern):
    pattern.check()

    assert pattern.needs, f"{rule_id} would be tried on every text: {pattern.source}"


def test_every_reason_is_given_by_a_rule():
    used = {rule.reason for rule in CLASSIFIER.rules}

    # An unsubscription is told by webhooks of ESPs alone, never by a mail server.
    assert set(CLASSIFIER.reasons) - used == {"unsubscribe"}


def words_of(pattern):
    words = {word for needs in pattern.needs for words in needs for word in words}
    return " ".join(sorted(words)).encode() + b" "


def seconds_to_search(pattern: Pattern, text: bytes) -> float:
    rounds = []
    for _ in range(5):
        start = time.perf_counter()
        pattern.search(text)
        rounds.append(time.perf_counter() - start)
    return min(rounds)


@pytest.mark.parametrize(("rule_id", "pattern"), PATTERNS, ids=map(str, range(len(PATTERNS))))
def test_pattern_takes_linear_time_on_a_text_made_against_it(rule_id, pattern):
    letters = random.Random(rule_id).choices([b"a ", b"x ", b"\\ ", b"<", b"0"], k=40)  # noqa: S311 (no secrets here)
    unit = words_of(pattern) + b"".join(letters)
    short, long = unit * (8192 // len(unit) + 1), unit * (16384 // len(unit) + 1)
    pattern.search(long)  # compiles it

    once, twice = seconds_to_search(pattern, short), seconds_to_search(pattern, long)

    assert twice < 0.05
    assert twice < max(4 * once, 0.01)
