"""A user's own rules, and types of reasons: what is taken, and how what is wrong is said."""

import re

import pytest

from mtabounce.classify import load
from mtabounce.classify.lint import is_linear, lint
from mtabounce.classify.pattern import Pattern
from mtabounce.errors import ConfigError

GOOD = """
[[rule]]
id = "our-greylist"
reason = "rate_limited"
text = 'come back when the kettle boils'
match = ["451 come back when the kettle boils"]
"""


def write(tmp_path, text, name="10-own.toml"):
    (tmp_path / name).write_text(text)
    return tmp_path


def test_own_rule_is_tried_before_ours(tmp_path):
    text = GOOD.replace("come back when the kettle boils", "user unknown").replace("451", "550")

    verdict = load(write(tmp_path, text)).classify_reply("550 5.1.1 user unknown")

    assert (verdict.rule, verdict.reason) == ("our-greylist", "rate_limited")


def test_own_operator_can_be_named_by_own_rules(tmp_path):
    write(tmp_path, 'kettle = ["kettle.example"]', "operators.toml")
    rule = GOOD + 'operator = "kettle"\n'

    classifier = load(write(tmp_path, rule))

    assert classifier.classify_reply(
        "host mx.kettle.example[192.0.2.1] said: 451 come back when the kettle boils"
    ).rule == ("our-greylist")
    assert classifier.classify_reply("451 come back when the kettle boils").rule != "our-greylist"


WRONG = {
    "unknown key 'reasn'; did you mean 'reason'?": GOOD.replace("reason", "reasn"),
    "there is no reason 'rate_limit'; did you": GOOD.replace("rate_limited", "rate_limit"),
    "text: '(come back when the kettle boils' is no pattern:": GOOD.replace("'come", "'(come"),
    "'(?' is not supported in patterns": GOOD.replace("'come", "'(?i)come"),
    r"'\1' is not supported in patterns": GOOD.replace("'come", r"'(.)\1 come"),
    "there is no operator 'gogle'; did you mean 'google'?": GOOD + 'operator = "gogle"',
    "reply_code: '451' has the wrong type": GOOD + 'reply_code = "451"',
    "outcome: must be one of bounce, complaint": GOOD + 'outcome = "bounced"',
    "'id' must be given, as a string": GOOD.replace('id = "our-greylist"\n', ""),
    "rule 'our-greylist': 10-own.toml has a rule of that id": GOOD + GOOD,
    "unknown key 'rules'; did you mean 'rule'?": GOOD.replace("[[rule]]", "[[rules]]"),
    "10-own.toml: Expected": "[[rule",
}


@pytest.mark.parametrize("said", WRONG)
def test_what_is_wrong_in_a_file_is_one_clear_line(tmp_path, said):
    with pytest.raises(ConfigError) as raised:
        load(write(tmp_path, WRONG[said]))

    assert said in str(raised.value)
    assert "10-own.toml" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_line_of_the_rule_is_named(tmp_path):
    text = GOOD + "\n" + GOOD.replace("our-greylist", "second").replace("reason", "reasons")

    with pytest.raises(ConfigError, match=r"10-own\.toml:9: rule 'second'"):
        load(write(tmp_path, text))


def test_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ConfigError, match="there is no such folder of rules"):
        load(tmp_path / "missing")


def test_type_of_a_reason_can_be_changed():
    verdict = load(types={"mailbox_full": "hard"}).classify_reply("552 5.2.2 full")

    assert (verdict.type, verdict.reason) == ("hard", "mailbox_full")


def test_reason_can_be_made_to_count_for_nothing():
    assert load(types={"spam_content": "none"}).classify_reply("554 looks like spam").type is None


@pytest.mark.parametrize(
    ("types", "said"),
    [
        ({"mailbox_ful": "hard"}, "there is no reason 'mailbox_ful'; did you mean 'mailbox_full'?"),
        ({"mailbox_full": "harder"}, "cannot have the type 'harder', only hard, soft, complaint"),
    ],
)
def test_wrong_type_map_is_refused(types, said):
    with pytest.raises(ConfigError) as raised:
        load(types=types)

    assert said in str(raised.value)


def messages(tmp_path, text):
    classifier = load(write(tmp_path, text))
    own = [rule for rule in classifier.rules if rule.own]
    return [finding.message for finding in lint(classifier, own)]


def test_sound_rule_has_no_findings(tmp_path):
    assert messages(tmp_path, GOOD) == []


def test_lint_finds_a_rule_that_an_earlier_one_shadows(tmp_path):
    second = GOOD.replace("our-greylist", "second").replace("the kettle boils'", "the kettle'")

    found = messages(tmp_path, GOOD + second)

    assert found == [
        "its example '451 come back when the kettle boils' is decided by 'our-greylist'"
    ]


def test_lint_finds_a_rule_without_example(tmp_path):
    text = GOOD.replace("match =", "no_match =").replace("451 come", "451 go")

    assert messages(tmp_path, text) == ["has no 'match' example: nothing shows that it works"]


def test_lint_finds_a_pattern_without_words(tmp_path):
    text = GOOD.replace("'come back when the kettle boils'", "'[0-9]+ c'")

    assert any("tried on every text" in message for message in messages(tmp_path, text))


class Backtracking(Pattern):
    """What a pattern would be without RE2: it starts anew at each "a", and reads to the end."""

    def search(self, text):
        found = re.search(rb"a[^9]*9", text[::4])
        return found and found.span()


def test_pattern_that_is_not_linear_is_found():
    assert is_linear(Pattern("address [0-9]+"))
    assert not is_linear(Backtracking("address [0-9]+"))
