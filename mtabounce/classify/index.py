"""Rules, indexed: a report meets only the few of them that can fit."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from operator import itemgetter

from ahocorasick_rs import BytesAhoCorasick

from mtabounce.classify.evidence import Evidence
from mtabounce.classify.operators import Operators
from mtabounce.classify.pattern import Needs, Pattern, Words
from mtabounce.classify.rule import Rule
from mtabounce.model import Outcome

Found = tuple[Rule, str]  # a rule that fits, and the words that it matched

# What may decide: the place of a rule, a number of its own (so that tuples sort), and the pattern
# that the text must hold, None where the codes were enough. Tuples, as their loop is the hottest
# of the program.
_Try = tuple[int, int, Pattern | None]

# A try, and sets of words (by number) of each of which the text must hold one first: one set that
# is always there, and more.
_Entry = tuple[_Try, frozenset[int], tuple[frozenset[int], ...]]

# What codes allow: tries that need no words, the first rule sure to fit, and rules that do not.
_ByCodes = tuple[list[_Try], int, frozenset[int]]

_NUMBER = itemgetter(0)
_BY_CODES = frozenset({"text", "status", "reply_code"})


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
        self._always: list[_Try] = []  # for each report
        self._by_status: dict[str, list[_Try]] = defaultdict(list)
        self._by_code: dict[int, list[_Try]] = defaultdict(list)
        self._by_outcome: dict[Outcome, list[_Try]] = defaultdict(list)
        for number, rule in enumerate(rules):
            self._file(number, rule)
        keys = [set(rule.conditions()) for rule in rules]
        self._conditional = {number for number, found in enumerate(keys) if not found <= _BY_CODES}
        self._certain = {  # what they are looked up by is all that they ask for
            number
            for number, found in enumerate(keys)
            if found in ({"status"}, {"reply_code"}, set())
        }
        self._words = _WordIndex(rules)
        self._named = {code for rule in rules for code in (*rule.status, *rule.reply_code)}
        # Codes are the sender's to choose: the many that no rule names share what is found for one.
        self._of_named_codes = lru_cache(1024)(self._find_by_named_codes)
        self._of_codes = lru_cache(4096)(self._find_by_codes)

    def first(self, evidence: Evidence) -> Found | None:
        """Return the first rule that fits, and the words that it matched; None: none does."""
        text = evidence.text.lower().encode(errors="replace")
        last = None
        for number, _, pattern in self._tries(evidence, text):
            if pattern is last and last is not None:
                continue  # found by two of its alternatives
            last = pattern
            rule = self._rules[number]
            if number in self._conditional and not rule.fits(evidence, self._operators):
                continue
            if pattern is None:
                return rule, ""
            if span := pattern.search(text):
                return rule, _words_at(evidence.text, text, *span)
        return None

    def all(self, evidence: Evidence) -> Iterator[Found]:
        """Yield every rule that fits, in order; slowly, one by one."""
        text = evidence.text.lower().encode(errors="replace")
        every = [(number, 0, None) for number in range(len(self._rules))]
        for number, _, _ in sorted(every, key=self._guessed_order) if evidence.guessed else every:
            rule = self._rules[number]
            if not rule.fits(evidence, self._operators):
                continue
            spans = (pattern.search(text) for pattern in rule.text)
            found = next(filter(None, spans), None)
            if found or not rule.text:
                yield rule, _words_at(evidence.text, text, *found) if found else ""

    def _file(self, number: int, rule: Rule) -> None:
        tries = _tries_of(number, rule)
        if rule.outcome is not Outcome.BOUNCE:
            self._by_outcome[rule.outcome] += tries
        elif rule.text:
            self._always += [each for each in tries if each[2] and not each[2].needs]
        elif rule.status or rule.reply_code:
            for status in rule.status:
                self._by_status[status] += tries
            for code in () if rule.status else rule.reply_code:
                self._by_code[code] += tries
        else:
            self._always += tries

    def _tries(self, evidence: Evidence, text: bytes) -> Sequence[_Try]:
        """Return what may decide, in order."""
        if evidence.outcome is not Outcome.BOUNCE:
            return self._by_outcome[evidence.outcome]
        by_code, decided, barred = self._of_codes(evidence.status_text, evidence.reply_code)
        if evidence.guessed:
            found = self._words.tries(text, len(self._rules), barred)
            return sorted([*found, *by_code], key=self._guessed_order)
        return sorted(self._words.tries(text, decided, barred) + by_code)

    def _find_by_codes(self, status: str, code: int | None) -> _ByCodes:
        """Return what these codes allow; all codes that no rule names are alike to the rules."""
        if status and status not in self._named:
            class_, subject, _ = status.split(".")
            status = f"{class_}.{subject}."  # as a prefix of a rule has it
        return self._of_named_codes(status, code if code in self._named else None)

    def _find_by_named_codes(self, status: str, code: int | None) -> _ByCodes:
        barred = frozenset(
            number for number, rule in enumerate(self._rules) if not rule.fits_codes(status, code)
        )
        found = [*self._always, *self._by_code.get(code or 0, ())]
        class_, _, rest = status.partition(".")
        for key in {status, f"{class_}.{rest.partition('.')[0]}.", f"{class_}."}:
            found += self._by_status.get(key, ())
        found = [each for each in found if each[0] not in barred]
        certain = (number for number, _, _ in found if number in self._certain)
        return found, min(certain, default=len(self._rules)), barred

    def _guessed_order(self, found: _Try) -> tuple[bool, int, int]:
        rule = self._rules[found[0]]
        return not (rule.text or rule.reply_code), found[0], found[1]


class _WordIndex:
    """Finds the patterns whose words stand in a text, in one pass over it."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        indexed = [
            (found, needs)
            for number, rule in enumerate(rules)
            if rule.outcome is Outcome.BOUNCE
            for found in _tries_of(number, rule)
            for needs in (found[2].needs if found[2] else ())
        ]
        words = {word for _, needs in indexed for words in needs for word in words}
        self._numbers = {word: number for number, word in enumerate(sorted(words))}
        self._search = BytesAhoCorasick([word.encode() for word in self._numbers])
        self._entries: list[list[_Entry]] = [[] for _ in self._numbers]
        counts = self._counts(rules)
        for found, needs in indexed:
            self._add(found, needs, counts)
        self._filed = frozenset(word for word, found in enumerate(self._entries) if found)

    def tries(self, text: bytes, end: int, barred: frozenset[int]) -> list[_Try]:
        """Return the patterns of rules before *end*, not *barred*, whose words stand in *text*."""
        words = self._words_in(text)
        return [
            found
            for word in words & self._filed
            for found, other, more in self._entries[word]
            if found[0] < end
            and not other.isdisjoint(words)
            and found[0] not in barred
            and not (more and any(map(words.isdisjoint, more)))
        ]

    def _words_in(self, text: bytes) -> set[int]:
        return set(map(_NUMBER, self._search.find_matches_as_indexes(text, overlapping=True)))

    def _counts(self, rules: Sequence[Rule]) -> Counter[int]:
        """Count in how many examples each word stands: how often it will be met."""
        examples = chain.from_iterable(rule.match for rule in rules)
        texts = (example.lower().encode() for example in examples if isinstance(example, str))
        return Counter(chain.from_iterable(map(self._words_in, texts)))

    def _add(self, found: _Try, needs: Needs, counts: Counter[int]) -> None:
        """File a pattern's alternative under those of its words that are met least often."""
        sets = [self._numbered(words) for words in needs]
        first, *others = sorted(sets, key=lambda words: sum(1 + counts[word] for word in words))
        other, *more = others or [first]
        for word in first:
            self._entries[word].append((found, other, tuple(more)))

    def _numbered(self, words: Words) -> frozenset[int]:
        return frozenset(self._numbers[word] for word in words)


def _tries_of(number: int, rule: Rule) -> list[_Try]:
    return [(number, turn, pattern) for turn, pattern in enumerate(rule.text)] or [
        (number, 0, None)
    ]


def _words_at(original: str, folded: bytes, start: int, end: int) -> str:
    """Return the matched words as they were written, where folding kept their place."""
    if original.isascii():
        return original[start:end]
    encoded = original.encode(errors="replace")
    return (encoded if len(encoded) == len(folded) else folded)[start:end].decode(errors="replace")
