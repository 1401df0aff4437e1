"""Rules, indexed: a report meets only the few of them that can fit."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from ahocorasick_rs import BytesAhoCorasick

from mtabounce.classify.evidence import Evidence
from mtabounce.classify.rule import Rule
from mtabounce.model import EnhancedStatus, Outcome

Found = tuple[Rule, str]  # a rule that fits, and the words that it matched


class Index:
    """
    Finds the first rule that fits, in the order in which they are given.

    A rule with a text is looked up by the words it needs, one without by its status, its reply
    code or its outcome. A status that an MTA only guessed at, for a reply that held none, decides
    last of all: after every rule that has a text or a reply code.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._always: list[int] = []  # rules that each report must try
        self._by_status: dict[str, list[int]] = defaultdict(list)
        self._by_code: dict[int, list[int]] = defaultdict(list)
        self._by_outcome: dict[Outcome, list[int]] = defaultdict(list)
        words: dict[bytes, list[int]] = defaultdict(list)
        for number, rule in enumerate(rules):
            self._file(number, rule, words)
        self._words = list(words.values())
        self._search = BytesAhoCorasick(list(words)) if words else None

    def first(self, evidence: Evidence, operator: str) -> Found | None:
        """Return the first rule that fits, and the words that it matched; None: none does."""
        return next(iter(self.all(evidence, operator)), None)

    def all(self, evidence: Evidence, operator: str) -> Iterable[Found]:
        """Yield every rule that fits, the deciding one first."""
        text = evidence.text.lower().encode(errors="replace")
        for number in self._candidates(evidence, text):
            rule = self._rules[number]
            if not rule.fits(evidence, operator):
                continue
            if not rule.text:
                yield rule, ""
                continue
            for pattern in rule.text:
                if span := pattern.search(text):
                    yield rule, _words_at(evidence.text, text, *span)
                    break

    def _file(self, number: int, rule: Rule, words: dict[bytes, list[int]]) -> None:
        if rule.outcome is not Outcome.BOUNCE:
            self._by_outcome[rule.outcome].append(number)
        elif rule.text:
            self._file_by_words(number, rule, words)
        elif rule.status or rule.reply_code:
            for status in rule.status:
                self._by_status[status].append(number)
            for code in () if rule.status else rule.reply_code:
                self._by_code[code].append(number)
        else:
            self._always.append(number)

    def _file_by_words(self, number: int, rule: Rule, words: dict[bytes, list[int]]) -> None:
        needed = [pattern.words for pattern in rule.text]
        if not all(needed):
            self._always.append(number)
            return
        for word in frozenset().union(*needed):
            words[word].append(number)

    def _candidates(self, evidence: Evidence, text: bytes) -> list[int]:
        if evidence.outcome is not Outcome.BOUNCE:
            return [*self._by_outcome[evidence.outcome]]
        found = set(self._always)
        if self._search is not None:
            for word, _, _ in self._search.find_matches_as_indexes(text, overlapping=True):
                found.update(self._words[word])
        if evidence.reply_code is not None:
            found.update(self._by_code.get(evidence.reply_code, ()))
        if evidence.status is not None:
            found.update(self._of_status(evidence.status))
        return sorted(found, key=self._guessed_order) if evidence.guessed else sorted(found)

    def _of_status(self, status: EnhancedStatus) -> Iterable[int]:
        class_, subject = f"{status.class_}.", f"{status.class_}.{status.subject}."
        for key in (str(status), subject, class_):
            yield from self._by_status.get(key, ())

    def _guessed_order(self, number: int) -> tuple[bool, int]:
        rule = self._rules[number]
        return not (rule.text or rule.reply_code), number


def _words_at(original: str, folded: bytes, start: int, end: int) -> str:
    """Return the matched words as they were written, where folding kept their place."""
    encoded = original.encode(errors="replace")
    return (encoded if len(encoded) == len(folded) else folded)[start:end].decode(errors="replace")
