"""Rules, indexed: a report meets only the few of them that can fit."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain

from ahocorasick_rs import BytesAhoCorasick

from mtabounce.classify.evidence import Evidence
from mtabounce.classify.literals import SHORTEST, Words
from mtabounce.classify.operators import Operators
from mtabounce.classify.pattern import Pattern
from mtabounce.classify.rule import Rule
from mtabounce.model import EnhancedStatus, Outcome

Found = tuple[Rule, str]  # a rule that fits, and the words that it matched

# What may decide: a rule, and one of its patterns that the text must hold; None: it asks for none.
_Try = tuple[Rule, Pattern | None]

# Some of all tries: bit n is set where the try of place n is among them. The sets that belong to
# the words of a text are joined by a few operations, where lists would be walked. What is tried
# first has the highest place: how long a number is, is known at once.
_Places = int
_Placed = Mapping[int, _Try]

_BOUNCE = Outcome.BOUNCE  # looked up once: each look at a member of an enum takes 0.1 µs
_MARKS = 2  # sets of words that are looked for, of those that a pattern needs


class Index:
    """
    Finds the first rule that fits, in the order in which they are given.

    A rule with a text is looked up by the words it needs, one without by all else. A status that
    an MTA only guessed at, for a reply that held none, decides last of all: after every rule that
    has a text or a reply code.
    """

    def __init__(self, rules: Sequence[Rule], operators: Operators) -> None:
        self._rules = rules
        self._operators = operators
        self._tries = _placed(each for rule in rules for each in _tries_of(rule))
        self._conditions = _ConditionIndex(self._tries)
        self._words = _WordIndex(self._tries)
        self._wordless = _places_of(
            place for place, each in self._tries.items() if not _needs_of(each)
        )
        self._last = _places_of(
            place for place, (rule, _) in self._tries.items() if _decides_last(rule)
        )

    def first(self, evidence: Evidence) -> Found | None:
        """Return the first rule that fits, and the words that it matched; None: none does."""
        text = evidence.text.lower().encode(errors="replace")
        operator = self._operators.of(evidence.host) if evidence.host else ""
        found = self._words.places_in(text) | self._wordless
        found &= self._conditions.allow(evidence, operator)
        if not evidence.guessed:
            return self._first_of(found, evidence.text, text)
        last = found & self._last
        decided = self._first_of(found ^ last, evidence.text, text)
        return decided or self._first_of(last, evidence.text, text)

    def _first_of(self, places: _Places, original: str, text: bytes) -> Found | None:
        """Return the first of *places* that fits *text*, which is *original* made ready for it."""
        while places:
            place = places.bit_length() - 1
            rule, pattern = self._tries[place]
            if pattern is None:
                return rule, ""
            if span := pattern.search(text):
                return rule, _words_at(original, text, *span)
            places ^= 1 << place
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


class _ConditionIndex:
    """Finds which rules' conditions hold, all but the text."""

    def __init__(self, tries: _Placed) -> None:
        self._tries = tries
        self._codes = {
            code for rule, _ in tries.values() for code in (*rule.status, *rule.reply_code)
        }
        # Codes are the sender's to choose: the many that no rule names share what is found for one.
        self._of_named = lru_cache(1024)(self._find)
        self._of_codes = lru_cache(4096)(self._find_codes)
        self._of_outcome = _by_value(tries, lambda rule: (rule.outcome,))
        self._of_operator = _by_value(tries, lambda rule: rule.operator)
        self._of_command = _by_value(tries, lambda rule: rule.command)
        self._of_action = _by_value(tries, lambda rule: rule.action)
        self._of_feedback = _by_value(tries, lambda rule: rule.feedback_type)
        self._of_bare_reply = self._of_event(Evidence(), "")

    def allow(self, evidence: Evidence, operator: str) -> _Places:
        """Return the places whose conditions hold for *evidence*, of a server of *operator*."""
        of_codes = self._of_codes(evidence.status, evidence.reply_code)
        said = operator or evidence.command or evidence.action or evidence.feedback_type
        if evidence.outcome is _BOUNCE and not said:  # as most replies: nothing else is known
            return of_codes & self._of_bare_reply
        return of_codes & self._of_event(evidence, operator)

    def _of_event(self, evidence: Evidence, operator: str) -> _Places:
        """Return the places that what was done, answered and complained of allows."""
        return (
            self._of_outcome[evidence.outcome]
            & self._of_operator[operator]
            & self._of_command[evidence.command]
            & self._of_action[evidence.action]
            & self._of_feedback[evidence.feedback_type]
        )

    def _find_codes(self, status: EnhancedStatus | None, code: int | None) -> _Places:
        """Return what the codes allow; all codes that no rule names are alike to the rules."""
        key = str(status) if status else ""
        if status and key not in self._codes:
            key = f"{status.class_}.{status.subject}."  # as a prefix of a rule has it
        return self._of_named(key, code if code in self._codes else None)

    def _find(self, status: str, code: int | None) -> _Places:
        return _places_of(
            place for place, (rule, _) in self._tries.items() if rule.fits_codes(status, code)
        )


class _PlacesByValue(dict[str, _Places]):
    """Where a condition holds, by the value that it looks at."""

    def __init__(self, anywhere: _Places, named: Mapping[str, _Places]) -> None:
        super().__init__({value: anywhere | places for value, places in named.items()})
        self.setdefault("", anywhere)  # most values are
        self._anywhere = anywhere

    def __missing__(self, value: str) -> _Places:
        return self._anywhere  # and is not kept: values are the sender's to choose


def _by_value(tries: _Placed, wanted: Callable[[Rule], Iterable[str]]) -> _PlacesByValue:
    """Return where one condition holds; *wanted* tells the values that it wants, () for any."""
    anywhere, named = 0, dict[str, _Places]()
    for place, (rule, _) in tries.items():
        values = tuple(wanted(rule))
        for value in values:
            named[value] = named.get(value, 0) | 1 << place
        anywhere |= 0 if values else 1 << place
    return _PlacesByValue(anywhere, named)


class _WordIndex:
    """Finds the patterns whose words stand in a text, in one pass over it."""

    def __init__(self, tries: _Placed) -> None:
        needs = {place: needs for place, each in tries.items() if (needs := _needs_of(each))}
        frequency = _frequency([sets for sets in needs.values() if len(sets) > _MARKS], tries)
        # For each word, the places that need it or one like it, and behind them the second places
        # of those that need it besides.
        needing: dict[str, _Places] = {}
        for place, sets in needs.items():
            self._add(place, sets, frequency, needing)
        self._search = BytesAhoCorasick([word.encode() for word in needing])
        shared = {places: places for places in needing.values()}  # one number for all like it
        self._needing = [shared[places] for places in needing.values()]
        self._content = _places_of(place for place, sets in needs.items() if len(sets) == 1)

    def places_in(self, text: bytes) -> _Places:
        """Return the places of patterns of which two needed words stand in *text*, and others."""
        found, needing = 0, self._needing
        for word, _, _ in self._search.find_matches_as_indexes(text, overlapping=True):
            found |= needing[word]
        return found & (found >> 1 | self._content)

    def _add(
        self,
        place: int,
        needs: Sequence[Words],
        frequency: Mapping[str, int],
        needing: dict[str, _Places],
    ) -> None:
        """File a pattern in *needing* under those of its words that will be met least often."""
        for mark, words in enumerate(_rarest(needs, frequency)):
            bit = 1 << place + mark
            for word in _core(words):
                needing[word] = needing.get(word, 0) | bit


def _rarest(needs: Sequence[Words], frequency: Mapping[str, int]) -> Sequence[Words]:
    """Return those of *needs* that will be met least often."""
    if len(needs) <= _MARKS:
        return needs
    return sorted(needs, key=lambda words: (sum(frequency[word] for word in words), len(words)))[
        :_MARKS
    ]


def _frequency(needs: Iterable[Sequence[Words]], tries: _Placed) -> Mapping[str, int]:
    """Count how often the words of *needs* stand in the examples of rules."""
    words = list({word for sets in needs for words in sets for word in words})
    search = BytesAhoCorasick([word.encode() for word in words])
    examples = {rule.id: rule.match for rule, _ in tries.values()}
    replies = (each for each in chain.from_iterable(examples.values()) if isinstance(each, str))
    text = "\n".join(replies).lower().encode(errors="replace")
    hits = search.find_matches_as_indexes(text, overlapping=True)
    return Counter(words[number] for number, _, _ in hits)


def _tries_of(rule: Rule) -> list[_Try]:
    return [(rule, pattern) for pattern in rule.text] or [(rule, None)]


def _needs_of(each: _Try) -> tuple[Words, ...]:
    """Return the sets of words of which a text must hold one each; (): it is tried in any case."""
    rule, pattern = each
    return pattern.needs if pattern and rule.outcome is Outcome.BOUNCE else ()


def _placed(tries: Iterable[_Try]) -> dict[int, _Try]:
    """Give each of *tries* its place, and a second one behind it where it needs two words."""
    placed, place = {}, 0
    for each in reversed(list(tries)):
        placed[place] = each
        place += max(1, min(_MARKS, len(_needs_of(each))))
    return placed


def _core(words: Words) -> Iterator[str]:
    """
    Yield what to look for instead of *words*: a word is there if what it holds of them is.

    Without the spaces around them, many words of many patterns are one.
    """
    bare = {_bare(word) for word in words}
    kept: list[str] = []
    for word in sorted(bare, key=len):
        if not any(map(word.__contains__, kept)):
            kept.append(word)
    return iter(kept)


def _bare(word: str) -> str:
    bare = word.strip()
    return bare if len(bare) >= SHORTEST or len(bare.encode()) >= SHORTEST else word


def _decides_last(rule: Rule) -> bool:
    """Whether *rule* looks at a status that may be a guess, and at nothing that was said."""
    return not (rule.text or rule.reply_code)


def _places_of(places: Iterable[int]) -> _Places:
    return sum(1 << place for place in places)


def _words_at(original: str, folded: bytes, start: int, end: int) -> str:
    """Return the matched words as they were written, where folding kept their place."""
    if original.isascii():
        return original[start:end]
    encoded = original.encode(errors="replace")
    return (encoded if len(encoded) == len(folded) else folded)[start:end].decode(errors="replace")
