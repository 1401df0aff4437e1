"""What is doubtful about rules: examples that fail, rules that never decide, slow patterns."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mtabounce.classify.classifier import Classifier
from mtabounce.classify.examples import judge_example
from mtabounce.classify.pattern import Pattern
from mtabounce.classify.rule import Example, Rule

_BYTES = 16 * 1024  # of the text that a pattern is timed on, and twice as many: a cache holds it
_GROWTH = 3.0  # times longer for twice the text is more than linear, noise allowed for
_FAST = 4  # times as long as a plain pattern: memory is the rest, and its caches are not linear
_DEAR = 10  # times as long: too slow, however it grows
_TRIES = 30  # before noise is ruled out
_PLAIN = Pattern("[^ ]+ [0-9]+[zq][xj]")  # asks for no words, so that each text is searched


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to mend."""

    rule: str
    file: str
    message: str


def lint(classifier: Classifier, rules: Sequence[Rule]) -> Iterator[Finding]:
    """Yield what is doubtful about *rules*, which are some of *classifier*'s."""
    for rule in rules:
        for message in _doubts(classifier, rule):
            yield Finding(rule.id, rule.file, message)


def is_linear(pattern: Pattern) -> bool:
    """
    Whether *pattern* takes twice as long, and no longer, for twice a text made against it.

    Nor may it take much longer than a plain pattern. Times are compared with each other, the best
    of several rounds, so that it does not matter how fast or busy the machine is.
    """
    words = sorted({word for needs in pattern.needs for words in needs for word in words})
    unit = " ".join([*words, "a", "\\ ", "<0 ", ""]).encode()
    text = (unit * (2 * _BYTES // len(unit) + 1))[: 2 * _BYTES]
    once, twice, plain = (_seconds(pattern, text[:_BYTES]), _seconds(pattern, text), 0.0)
    for _ in range(_TRIES):
        once = min(once, _seconds(pattern, text[:_BYTES]))
        twice = min(twice, _seconds(pattern, text))
        plain = max(plain, _seconds(_PLAIN, text))
        if twice < max(_FAST * plain, min(_GROWTH * once, _DEAR * plain)):
            return True
    return False


def _doubts(classifier: Classifier, rule: Rule) -> Iterator[str]:
    if not rule.match:
        yield "has no 'match' example: nothing shows that it works"
    yield from _wrong_examples(classifier, rule)
    for pattern in rule.text:
        if not pattern.needs:
            yield f"'{pattern.source}' has no fixed words: it is tried on every text"
        if not is_linear(pattern):
            yield f"'{pattern.source}' is slow"


def _wrong_examples(classifier: Classifier, rule: Rule) -> Iterator[str]:
    for example in rule.match:
        decided = judge_example(classifier, rule, example)
        if decided.rule != rule.id:
            yield f"its example {_shown(example)} is decided by '{decided.rule}'"
    for example in rule.no_match:
        if judge_example(classifier, rule, example).rule == rule.id:
            yield f"decides {_shown(example)}, which it should leave alone"


def _shown(example: Example) -> str:
    return repr(example) if isinstance(example, str) else str(example)


def _seconds(pattern: Pattern, text: bytes) -> float:
    # CPU time of this thread: what else the machine does then counts for nothing.
    rounds = []
    for _ in range(3):
        start = time.thread_time()
        pattern.search(text)
        rounds.append(time.thread_time() - start)
    return min(rounds)
