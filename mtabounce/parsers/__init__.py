"""
Bytes in, reports out: one module for each dialect of bounce. Pure.

A module declares one ``PARSER``. Parsers are tried by rank; the first that recognizes the mail
decides. A parser names marks, words that its dialect cannot do without; all marks of all parsers
are looked for in one pass, so that most are never called.
"""

from functools import cache

from ahocorasick_rs import AhoCorasick, Implementation

from mtabounce.mime import STRUCTURE_LIMIT, fingerprint, fingerprint_of
from mtabounce.model import Outcome, Reading, Report
from mtabounce.parsers._mail import Findings, HeaderNames, Mail, Parser, polish, weightiest
from mtabounce.registry import discover

__all__ = ["HeaderNames", "Parser", "gist", "read"]

_DEFAULT_NAMES = HeaderNames()


class _Registry:
    """All parsers in order, and the automaton that finds which of them may apply."""

    def __init__(self) -> None:
        found = discover(__name__, Parser)
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


def read(content: bytes, names: HeaderNames = _DEFAULT_NAMES) -> Reading:
    """Return what a mail says. Total: whatever the bytes are, there is a reading."""
    mail = Mail(content, names)
    name, found = _recognize(mail)
    reports = tuple(polish(report) for report in found.reports if not _is_cut(mail, report))
    return Reading(
        outcome=weightiest(reports) or Outcome.UNRECOGNIZED,
        reports=reports,
        parser=name if reports else "",
        fingerprint=_fingerprint(mail, content),
        relayed=mail.relayed,
        return_paths=mail.return_paths if reports else (),
    )


def _fingerprint(mail: Mail, content: bytes) -> bytes:
    is_whole = len(content) <= STRUCTURE_LIMIT  # then its line ends need not be unified again
    return fingerprint_of(mail.head, mail.body) if is_whole else fingerprint(content)


def _is_cut(mail: Mail, report: Report) -> bool:
    """Whether the mail ends in the middle of the recipient: then it may be another's address."""
    recipient = report.final_recipient
    tail = mail.body[-400:].rstrip(b".")
    return bool(recipient) and tail.endswith(recipient.encode("utf-8", "replace"))


def gist(content: bytes) -> str:
    """Return what a person would look at first: the subject, and how the text begins."""
    mail = Mail(content, _DEFAULT_NAMES)
    return f"{mail.subject}: {mail.text[:400]}"


def _recognize(mail: Mail) -> tuple[str, Findings]:
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
