"""Rules, indexed: a report meets only the few of them that can fit."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from ahocorasick_rs import BytesAhoCorasick

from mtabounce.classify.evidence import Evidence
from mtabounce.classify.literals import Words
from mtabounce.classify.operators import Operators
from mtabounce.classify.pattern import Pattern
from mtabounce.classify.rule import Rule
from mtabounce.model import EnhancedStatus, Outcome

Found = tuple[Rule, str]  # a rule that fits, and the words that it matched

# What may decide: a rule, and one of its patterns that the text must hold; None: it asks for none.
_Try = tuple[Rule, Pattern | None]

# Some of all tries: bit 2n is set where the try of place n is among them; odd bits are for a second
# mark. The sets that belong to the words of a text are joined by a few operations, where lists
# would be walked.
_Places = int

_BY_INDEX = frozenset({"text", "status", "reply_code", "operator"})


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
        self._tries = [each for rule in rules for each in _tries_of(rule)]
        self._codes = _CodeIndex(self._tries)
        self._words = _WordIndex(self._tries)
        self._by_outcome = {
            outcome: _places(rule.outcome is outcome for rule, _ in self._tries)
            for outcome in Outcome
        }
        self._asking = {  # places of rules that ask for more than they are looked up by
            place
            for place, (rule, _) in enumerate(self._tries)
            if not _BY_INDEX.issuperset(rule.conditions())
        }

    def first(self, evidence: Evidence) -> Found | None:
        """Return the first rule that fits, and the words that it matched; None: none does."""
        text = evidence.text.lower().encode(errors="replace")
        for place in _in_order(*self._candidates(evidence, text)):
            rule, pattern = self._tries[place]
            if place in self._asking and not self._fits(rule, evidence):
                continue
            if pattern is None:
                return rule, ""
            if span := pattern.search(text):
                return rule, _words_at(evidence.text, text, *span)
        return None

    def all(self, evidence: Evidence) -> Iterator[Found]:
        """Yield every rule that fits, in order; slowly, one by one."""
        text = evidence.text.lower().encode(errors="replace")
        rules = sorted(self._rules, key=_decides_last) if evidence.guessed else self._rules
        for rule in rules:
            if not rule.fits(evidence, self._operators):
                continue
            spans = (pattern.search(text) for pattern in rule.text)
            found = next(filter(None, spans), None)
            if found or not rule.text:
                yield rule, _words_at(evidence.text, text, *found) if found else ""

    def _fits(self, rule: Rule, evidence: Evidence) -> bool:
        """Whether what *rule* was not looked up by holds."""
        if rule.outcome is Outcome.BOUNCE:
            return rule.fits_event(evidence)
        return rule.fits(evidence, self._operators)

    def _candidates(self, evidence: Evidence, text: bytes) -> tuple[_Places, ...]:
        """Return what may decide: places, and others that come after all of them."""
        if evidence.outcome is not Outcome.BOUNCE:
            return (self._by_outcome[evidence.outcome],)
        operator = self._operators.of(evidence.host) if evidence.host else ""
        allowed, wordless, last = self._codes.of(evidence.status, evidence.reply_code, operator)
        found = self._words.places_in(text) & allowed | wordless
        return (found & ~last, last) if evidence.guessed else (found,)


class _Allowed(NamedTuple):
    """What the codes of a reply, and who runs the server, allow."""

    places: _Places  # where they do
    wordless: _Places  # of them, those that need no words
    last: _Places  # of them, those that come last where the status is a guess


class _CodeIndex:
    """Finds what the codes of a reply allow, and the operator of the server."""

    def __init__(self, tries: Sequence[_Try]) -> None:
        self._tries = tries
        self._codes = {code for rule, _ in tries for code in (*rule.status, *rule.reply_code)}
        self._operators = {name for rule, _ in tries for name in rule.operator}
        # Codes are the sender's to choose: the many that no rule names share what is found for one.
        self._of_named = lru_cache(1024)(self._find)
        self.of = lru_cache(4096)(self._of)

    def _of(self, status: EnhancedStatus | None, code: int | None, operator: str) -> _Allowed:
        """Return what is allowed; all codes that no rule names are alike to the rules."""
        key = str(status) if status else ""
        if status and key not in self._codes:
            key = f"{status.class_}.{status.subject}."  # as a prefix of a rule has it
        return self._of_named(
            key,
            code if code in self._codes else None,
            operator if operator in self._operators else "",
        )

    def _find(self, status: str, code: int | None, operator: str) -> _Allowed:
        found = [
            (place, rule, pattern)
            for place, (rule, pattern) in enumerate(self._tries)
            if rule.outcome is Outcome.BOUNCE
            and rule.fits_codes(status, code)
            and (not rule.operator or operator in rule.operator)
        ]
        wordless = [
            (place, rule) for place, rule, pattern in found if not (pattern and pattern.needs)
        ]
        return _Allowed(
            places=_places_of(place for place, _, _ in found),
            wordless=_places_of(place for place, _ in wordless),
            last=_places_of(place for place, rule in wordless if _decides_last(rule)),
        )


class _WordIndex:
    """Finds the patterns whose words stand in a text, in one pass over it."""

    def __init__(self, tries: Sequence[_Try]) -> None:
        needs = {
            place: pattern.needs
            for place, (rule, pattern) in enumerate(tries)
            if pattern and pattern.needs and rule.outcome is Outcome.BOUNCE
        }
        frequency = _frequency(needs, tries)
        # For each word, the places that need it or one like it, and by their second marks those
        # that need it besides.
        needing: dict[str, _Places] = {}
        self._content = 0  # second marks of the places that need nothing besides
        for place, sets in needs.items():
            self._add(place, sets, frequency, needing)
        self._search = BytesAhoCorasick([word.encode() for word in needing])
        self._needing = list(needing.values())
        self._firsts = _places_of(needs)

    def places_in(self, text: bytes) -> _Places:
        """Return the places of patterns of which two needed words stand in *text*."""
        found = self._content
        for word, _, _ in self._search.find_matches_as_indexes(text, overlapping=True):
            found |= self._needing[word]
        return found & found >> 1 & self._firsts

    def _add(
        self,
        place: int,
        needs: Iterable[Words],
        frequency: Mapping[str, int],
        needing: dict[str, _Places],
    ) -> None:
        """File a pattern in *needing* under those of its words that will be met least often."""
        first, *others = sorted(
            needs, key=lambda words: (sum(frequency[word] for word in words), len(words))
        )
        for word in first:
            needing[word] = needing.get(word, 0) | 1 << 2 * place
        for word in others[0] if others else ():
            needing[word] = needing.get(word, 0) | 2 << 2 * place
        if not others:
            self._content |= 2 << 2 * place


def _frequency(needs: Mapping[int, Iterable[Words]], tries: Iterable[_Try]) -> Mapping[str, int]:
    """Count how often the words of *needs* stand in the examples of rules."""
    words = list({word for sets in needs.values() for words in sets for word in words})
    search = BytesAhoCorasick([word.encode() for word in words])
    examples = {rule.id: rule.match for rule, _ in tries}
    replies = (each for each in chain.from_iterable(examples.values()) if isinstance(each, str))
    text = "\n".join(replies).lower().encode(errors="replace")
    hits = search.find_matches_as_indexes(text, overlapping=True)
    return Counter(words[number] for number, _, _ in hits)


def _tries_of(rule: Rule) -> list[_Try]:
    return [(rule, pattern) for pattern in rule.text] or [(rule, None)]


def _decides_last(rule: Rule) -> bool:
    """Whether *rule* looks at a status that may be a guess, and at nothing that was said."""
    return not (rule.text or rule.reply_code)


def _places(members: Iterable[bool]) -> _Places:
    return _places_of(place for place, is_member in enumerate(members) if is_member)


def _places_of(places: Iterable[int]) -> _Places:
    return sum(1 << 2 * place for place in places)


def _in_order(*sets: _Places) -> Iterator[int]:
    """Yield the places of one set after the other, the lowest of each first."""
    for places in sets:
        while places:
            lowest = places & -places
            places ^= lowest
            yield lowest.bit_length() >> 1


def _words_at(original: str, folded: bytes, start: int, end: int) -> str:
    """Return the matched words as they were written, where folding kept their place."""
    if original.isascii():
        return original[start:end]
    encoded = original.encode(errors="replace")
    return (encoded if len(encoded) == len(folded) else folded)[start:end].decode(errors="replace")
