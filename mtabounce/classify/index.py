"""Rules, indexed: a report meets only the few of them that can fit."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain

from ahocorasick_rs import BytesAhoCorasick

from mtabounce.classify.evidence import Evidence
from mtabounce.classify.operators import Operators
from mtabounce.classify.pattern import Needs, Pattern, Words
from mtabounce.classify.rule import Rule
from mtabounce.model import Outcome

Found = tuple[Rule, str]  # a rule that fits, and the words that it matched

# One alternative of a pattern: the place of its rule, the pattern, and sets of words (by number)
# of each of which the text must hold one, before RE2 is asked. A tuple, as its loop is the
# hottest of the program.
_Entry = tuple[int, Pattern, tuple[frozenset[int], ...]]


class Index:
    """
    Finds the first rule that fits, in the order in which they are given.

    A rule with a text is looked up by the words it needs, one without by its status, its reply
    code or its outcome. A status that an MTA only guessed at, for a reply that held none, decides
    last of all: after every rule that has a text or a reply code.
    """

    def __init__(self, rules: Sequence[Rule], operators: Operators) -> None:
        self._rules = rules
        self._operators = operators
        self._always: list[int] = []  # rules that each report must try
        self._by_status: dict[str, list[int]] = defaultdict(list)
        self._by_code: dict[int, list[int]] = defaultdict(list)
        self._by_outcome: dict[Outcome, list[int]] = defaultdict(list)
        for number, rule in enumerate(rules):
            self._file(number, rule)
        keys = [set(rule.conditions()) for rule in rules]
        self._conditional = {number for number, found in enumerate(keys) if found != {"text"}}
        self._certain = {  # what they are looked up by is all that they ask for
            number
            for number, found in enumerate(keys)
            if found in ({"status"}, {"reply_code"}, set())
        }
        self._words = _WordIndex(rules, self._always)
        self._of_codes = lru_cache(4096)(self._find_by_codes)

    def first(self, evidence: Evidence) -> Found | None:
        """Return the first rule that fits, and the words that it matched; None: none does."""
        text = evidence.text.lower().encode(errors="replace")
        numbers, patterns = self._candidates(evidence, text)
        for number in numbers:
            rule = self._rules[number]
            if number in self._conditional and not rule.fits(evidence, self._operators):
                continue
            if not rule.text:
                return rule, ""
            for pattern in patterns.get(number) or rule.text:
                if span := pattern.search(text):
                    return rule, _words_at(evidence.text, text, *span)
        return None

    def all(self, evidence: Evidence) -> Iterator[Found]:
        """Yield every rule that fits, in order; slowly, one by one."""
        text = evidence.text.lower().encode(errors="replace")
        order = self._guessed_order if evidence.guessed else None
        for number in sorted(range(len(self._rules)), key=order):
            rule = self._rules[number]
            if not rule.fits(evidence, self._operators):
                continue
            spans = (pattern.search(text) for pattern in rule.text)
            found = next(filter(None, spans), None)
            if found or not rule.text:
                yield rule, _words_at(evidence.text, text, *found) if found else ""

    def _file(self, number: int, rule: Rule) -> None:
        if rule.outcome is not Outcome.BOUNCE:
            self._by_outcome[rule.outcome].append(number)
        elif rule.text:
            if not all(pattern.needs for pattern in rule.text):
                self._always.append(number)
        elif rule.status or rule.reply_code:
            for status in rule.status:
                self._by_status[status].append(number)
            for code in () if rule.status else rule.reply_code:
                self._by_code[code].append(number)
        else:
            self._always.append(number)

    def _candidates(
        self, evidence: Evidence, text: bytes
    ) -> tuple[Sequence[int], dict[int, list[Pattern]]]:
        """Return the rules that may fit, in order, and which patterns of each to try."""
        if evidence.outcome is not Outcome.BOUNCE:
            return self._by_outcome[evidence.outcome], {}
        numbers, decided = self._of_codes(evidence.status_text, evidence.reply_code)
        if evidence.guessed:
            patterns = self._words.patterns_in(text, len(self._rules))
            return sorted({*numbers, *patterns}, key=self._guessed_order), patterns
        patterns = self._words.patterns_in(text, decided)
        return sorted({*numbers, *patterns}), patterns

    def _find_by_codes(self, status: str, code: int | None) -> tuple[tuple[int, ...], int]:
        """Return the rules to try for these codes, and the first that is sure to fit."""
        found = [*self._always, *self._by_code.get(code or 0, ())]
        class_, _, rest = status.partition(".")
        for key in (status, f"{class_}.{rest.partition('.')[0]}.", f"{class_}."):
            found += self._by_status.get(key, ())
        return tuple(found), min(self._certain.intersection(found), default=len(self._rules))

    def _guessed_order(self, number: int) -> tuple[bool, int]:
        rule = self._rules[number]
        return not (rule.text or rule.reply_code), number


class _WordIndex:
    """Finds the patterns whose words stand in a text, in one pass over it."""

    def __init__(self, rules: Sequence[Rule], unless: Sequence[int]) -> None:
        indexed = [
            (number, pattern, needs)
            for number, rule in enumerate(rules)
            if rule.outcome is Outcome.BOUNCE and number not in unless
            for pattern in rule.text
            for needs in pattern.needs
        ]
        words = {word for _, _, needs in indexed for words in needs for word in words}
        self._numbers = {word: number for number, word in enumerate(sorted(words))}
        self._search = BytesAhoCorasick([word.encode() for word in self._numbers])
        self._entries: list[list[_Entry]] = [[] for _ in self._numbers]
        counts = self._counts(rules)
        for rule, pattern, needs in indexed:
            self._add(rule, pattern, needs, counts)

    def patterns_in(self, text: bytes, end: int) -> dict[int, list[Pattern]]:
        """Return the patterns of rules before *end* all of whose words stand in *text*."""
        words = self._words_in(text)
        patterns: dict[int, list[Pattern]] = {}
        for word in words:
            for rule, pattern, others in self._entries[word]:
                if rule >= end:
                    break
                for other in others:
                    if other.isdisjoint(words):
                        break
                else:
                    patterns.setdefault(rule, []).append(pattern)
        return patterns

    def _words_in(self, text: bytes) -> set[int]:
        return {hit[0] for hit in self._search.find_matches_as_indexes(text, overlapping=True)}

    def _counts(self, rules: Sequence[Rule]) -> Counter[int]:
        """Count in how many examples each word stands: how often it will be met."""
        examples = chain.from_iterable(rule.match for rule in rules)
        texts = (example.lower().encode() for example in examples if isinstance(example, str))
        return Counter(chain.from_iterable(map(self._words_in, texts)))

    def _add(self, rule: int, pattern: Pattern, needs: Needs, counts: Counter[int]) -> None:
        """File a pattern's alternative under those of its words that are met least often."""
        sets = [self._numbered(words) for words in needs]
        first, *others = sorted(sets, key=lambda words: sum(1 + counts[word] for word in words))
        for word in first:
            self._entries[word].append((rule, pattern, tuple(others)))

    def _numbered(self, words: Words) -> frozenset[int]:
        return frozenset(self._numbers[word] for word in words)


def _words_at(original: str, folded: bytes, start: int, end: int) -> str:
    """Return the matched words as they were written, where folding kept their place."""
    encoded = original.encode(errors="replace")
    return (encoded if len(encoded) == len(folded) else folded)[start:end].decode(errors="replace")
