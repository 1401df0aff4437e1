"""The index is a short cut: it finds the rule that trying them one by one would find."""

import random

import pytest

from mtabounce.classify import load
from mtabounce.classify.evidence import Evidence
from mtabounce.model import Action, EnhancedStatus, Outcome, Report

CLASSIFIER = load()
TEXTS = sorted(
    {text for rule in CLASSIFIER.rules for text in rule.match if isinstance(text, str) and text}
)
WORDS = [word for text in TEXTS for word in text.split()]
CODES = ("", "550 ", "451 4.7.1 ", "554 5.7.1 ", "550 5.1.1 ", "552 5.2.2 ", "421 ")
STATUSES = [None, EnhancedStatus(5, 0, 0), EnhancedStatus(4, 4, 1), EnhancedStatus(5, 7, 999)]
STATUSES += [EnhancedStatus(5, 1, detail) for detail in range(12)]
HOSTS = ["", "mx.example.org", *(f"mx.{domain}" for domain in CLASSIFIER.operators.names.values())]
COMMANDS = ["", "RCPT TO", "MAIL FROM", "DATA", "CONNECT", "any"]
FEEDBACK = ["", "abuse", "not-spam", "fraud", "any"]
ROUNDS = 300  # of each seed


def report_with(text, status):
    return Report(
        outcome=Outcome.BOUNCE,
        final_recipient="ann@example.org",
        action=Action.FAILED,
        status=status,
        diagnostic_code=text,
    )


def varied(chance):
    """Return evidence as no rule's example has it: words swapped or in disorder, any codes."""
    words = chance.choice(TEXTS).split()
    if chance.random() < 0.3:
        words = chance.choices(WORDS, k=chance.randint(6, 18))
    words[chance.randrange(len(words))] = chance.choice([*WORDS, "größe", "不存在", "İ", "\udcff"])
    return Evidence(
        outcome=Outcome.BOUNCE if chance.random() < 0.7 else chance.choice(list(Outcome)),
        status=chance.choice(STATUSES),
        guessed=chance.random() < 0.3,
        reply_code=chance.choice([None, 421, 450, 550, 552, 554, 599]),
        text=" ".join(words),
        command=chance.choice(COMMANDS),
        host=chance.choice(HOSTS),
        action=chance.choice(["", *Action]),
        feedback_type=chance.choice(FEEDBACK),
    )


@pytest.mark.parametrize("code", CODES)
def test_indexed_rules_are_those_found_one_by_one(code):
    for text in TEXTS[:: len(CODES)]:
        report = report_with(code + text.lstrip("0123456789. "), EnhancedStatus(5, 0, 0))

        slowly = CLASSIFIER.matches(report)

        assert CLASSIFIER.classify(report).rule == (slowly[0][0].id if slowly else "undetermined")


@pytest.mark.parametrize("seed", range(5))
def test_rule_and_words_are_those_found_one_by_one_for_any_evidence(seed):
    chance = random.Random(seed)  # noqa: S311 (no secrets here)
    index = CLASSIFIER._index

    for _ in range(ROUNDS):
        evidence = varied(chance)

        assert index.first(evidence) == next(index.all(evidence), None), evidence
