"""Nobody is suppressed for what was said of the sender, of his mail, or of this hour."""

from pathlib import Path

import pytest

from mtabounce.classify import load
from mtabounce.model import BounceType, Outcome, Report

CLASSIFIER = load()
REPLIES = Path(__file__).parents[2] / "fixtures" / "replies"
SAID = {rule.id: rule.match for rule in CLASSIFIER.rules if rule.outcome is Outcome.BOUNCE}
EARLY = ["CONNECT", "EHLO", "HELO", "STARTTLS", "AUTH", "MAIL FROM"]


def replies(name):
    lines = (REPLIES / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


def judged(text, **fields):
    report = Report(
        outcome=Outcome.BOUNCE,
        final_recipient="ann@example.org",
        diagnostic_code=text,
        **fields,
    )
    return CLASSIFIER.classify(report)


@pytest.mark.parametrize("text", replies("not-the-recipient.txt"))
def test_what_is_not_said_of_the_recipient_is_not_hard(text):
    assert CLASSIFIER.classify_reply(text).type is not BounceType.HARD


@pytest.mark.parametrize("text", replies("the-recipient.txt"))
def test_what_is_said_of_the_recipient_for_good_is_hard(text):
    assert CLASSIFIER.classify_reply(text).type is BounceType.HARD


@pytest.mark.parametrize("command", EARLY)
def test_no_rule_blames_the_recipient_for_an_answer_that_came_before_him(command):
    # RFC 7504: a host that takes no mail at all says so in its greeting.
    texts = [
        (rule_id, text)
        for rule_id, examples in SAID.items()
        for text in examples
        if isinstance(text, str) and not text.startswith(("521", "556"))
    ]

    blamed = [
        (rule_id, text)
        for rule_id, text in texts
        if judged(text, command=command).fault == "recipient"
        or judged(text, command=command).type is BounceType.HARD
    ]

    assert len(texts) > 500
    assert blamed == []


@pytest.mark.parametrize("code", [530, 534, 535, 538])
def test_login_that_failed_is_nobodys_but_ours(code):
    verdict = judged(f"{code} 5.7.8 authentication failed: user not found")

    assert (verdict.type, verdict.reason) == ("soft", "authentication_failed")


@pytest.mark.parametrize(
    "said", ["temporarily", "right now", "- please retry", "- try again later"]
)
def test_what_says_that_it_passes_is_soft_and_keeps_its_reason(said):
    verdict = judged(f"550 5.2.1 mailbox disabled {said}")

    assert (verdict.type, verdict.reason) == ("soft", "mailbox_disabled")


def test_advice_to_try_another_address_does_not_make_it_pass():
    advice = "550 5.1.1 user unknown. Check the address and try again"

    assert judged(advice).type is BounceType.HARD


@pytest.mark.parametrize(("code", "kind"), [("", "soft"), ("550 ", "hard")])
def test_queue_that_gave_up_on_an_answer_without_code_is_soft(code, kind):
    assert judged(f"{code}Unrouteable address: retry timeout exceeded").type == kind
