"""What is known of a pattern without trying it is true of all that it matches."""

import re

import pytest
from re2 import _re2

from mtabounce.classify import literals, load
from mtabounce.classify.literals import read
from mtabounce.classify.pattern import Pattern

RULES = load().rules


def span_by_re2(source, text):
    options = _re2.RE2.Options()
    options.case_sensitive = False
    ((start, end),) = _re2.RE2(source.encode(), options).Match(
        _re2.RE2.Anchor.UNANCHORED, text, 0, len(text)
    )[:1]
    return None if start < 0 else (start, end)


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("user (unknown|not found)", ("user unknown", "user not found")),
        ("no( such)? user", ("no such user", "no user")),
        ("mail-?box", ("mail-box", "mailbox")),
        (r"mailbox\.full", ("mailbox.full",)),
        ("authori[sz]ed", ("authorised", "authorized")),
        ("NO Route", ("no route",)),
    ],
)
def test_phrases_of_a_pattern_are_all_that_it_matches(source, texts):
    known = read(source)

    assert (known.texts, known.needs, known.whole) == (texts, (texts,), True)


@pytest.mark.parametrize(
    ("source", "needs"),
    [
        (r"\bspf\b", [("spf",)]),
        ("user .*(unknown|not (found|here))", [("user ",), ("unknown", "not found", "not here")]),
        (r"aup#\w*-?13\d\d", [("aup#",)]),
        (r"(denied|refus\w+) by", [("denied", "refus"), (" by",)]),
        ("(mailbox ){2}full", [("mailbox ",), ("full",)]),
        ("(mailbox )*full", [("full",)]),
        ("[^a-z]full[0-9]", [("full",)]),
        ("[[:alpha:]]+ed", []),
        (r"(\w+|a)", []),
    ],
)
def test_words_that_a_pattern_needs(source, needs):
    known = read(source)

    assert list(known.needs) == needs
    assert not known.whole


def test_too_many_phrases_are_cut_where_they_grow():
    many = "|".join(f"word{letter}" for letter in "abcdefghij")

    known = read(f"({many}) ({many})")

    assert [len(words) for words in known.needs] == [10, 10]


def test_whatever_matches_holds_the_needed_words():
    for rule in RULES:
        text = "\n".join(each.lower() for each in rule.match if isinstance(each, str))
        for pattern in rule.text:
            if span_by_re2(pattern.source, text.encode()):
                for words in pattern.needs:
                    assert any(word in text for word in words), (pattern.source, words)


@pytest.mark.parametrize(
    "source", ["full|fuller", "fuller|full", "(mailbox|box) full", "no( such)? user", "full"]
)
@pytest.mark.parametrize("text", [b"the box fuller of mailbox full", b"no user, no such user", b""])
def test_phrase_is_found_where_the_pattern_would_find_it(source, text):
    assert Pattern(source).search(text) == span_by_re2(source, text)


@pytest.mark.parametrize("short_way", ["_PLAIN", "_PLAIN_GROUP"])
def test_reading_letters_in_runs_tells_what_reading_one_by_one_does(monkeypatch, short_way):
    sources = [pattern.source for rule in RULES for pattern in rule.text]
    in_runs = [read(source) for source in sources]

    monkeypatch.setattr(literals, short_way, re.compile(r"(?!)"))

    assert [read(source) for source in sources] == in_runs
