"""All parsers, and which of them is the first to know a mail."""

from functools import cache

from ahocorasick_rs import AhoCorasick, Implementation

from mtabounce.model import Outcome
from mtabounce.parsers._mail import Findings, Mail, Parser
from mtabounce.registry import discover


class _Registry:
    """All parsers in order, and the automaton that finds which of them may apply."""

    def __init__(self) -> None:
        found = discover(__name__.rpartition(".")[0], Parser)
        self.parsers = sorted(found.items(), key=lambda item: (item[1].rank, item[0]))
        self.always = {name for name, parser in self.parsers if not parser.marks}
        marks = [(mark, name) for name, parser in self.parsers for mark in parser.marks]
        self._owners = [name for _, name in marks]
        self._automaton = AhoCorasick(
            [mark for mark, _ in marks], implementation=Implementation.DFA
        )

    def marked(self, text: str) -> set[str]:
        """Return the names of the parsers of which a mark stands in *text* (lower case)."""
        hits = self._automaton.find_matches_as_indexes(text, overlapping=True)
        return {self._owners[index] for index, _, _ in hits}


@cache
def _registry() -> _Registry:
    return _Registry()


def recognize(mail: Mail) -> tuple[str, Findings]:
    """Return what the first parser that knows *mail* finds in it, and the parser's name."""
    registry = _registry()
    marked: set[str] | None = None
    for name, parser in registry.parsers:
        if name not in registry.always:
            if marked is None:
                marked = registry.marked(_searched(mail))
            if name not in marked:
                continue
        if found := parser.read(mail):
            return name, found
    return "", Findings(outcome=Outcome.UNRECOGNIZED)


def _searched(mail: Mail) -> str:
    return f"{mail.sender}\n{mail.subject}\n\n{mail.prose[0]}".lower()
