"""
Plain-text bounces, declared: where the recipients stand, and what stands around them.

A dialect is the words of one mail system. Its module names them; the reading is here.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from mtabounce.address import is_address, is_local_part, parse
from mtabounce.charset import header_text
from mtabounce.mime import VALUE_LIMIT
from mtabounce.model import Action, Report
from mtabounce.parsers._dates import parse_date
from mtabounce.parsers._mail import LOOKED_FOR, Findings, Mail, Parser, findings, outcome_of
from mtabounce.parsers._prose import command_in, host_in, reason_in

# "<a@example.org>:" at the start of a line, as qmail and Postfix write it.
ANGLED = (
    r"^<(?P<address>[^<>\n]{1,320})>[ \t]*"
    r"(?:\((?:expanded from:? <?(?P<original>[^<>()\n]+)>?|[^()\n]*)\))?[ \t]*:"
)
# An address somewhere in a line, whatever brackets, quotes and full stops stand around it.
_NOT_IN_ADDRESS = r"\s<>\"'()\[\],;:@（）<>《》「」『』【】。、，：；！？“”„«»"
ADDRESS = rf"[^{_NOT_IN_ADDRESS}]{{1,128}}@[^{_NOT_IN_ADDRESS}]{{1,255}}"

_NEVER = re.compile(r"(?!)")
_TO = re.compile(r"(?i)(?:RCPT TO:|for) ?<([^<>\s]+)>")
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_ENTRIES = re.compile(r"[,\s]+")


def pattern(text: str) -> re.Pattern[str]:
    """Compile a piece of a dialect: ^ and $ are of lines, case does not matter."""
    return re.compile(text, re.MULTILINE | re.IGNORECASE) if text else _NEVER


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """What a mail system writes when it gives up; each text is a pattern."""

    starts: str = ""  # the recipients come after it; else anywhere
    holds: str = ""  # must be there too, somewhere
    recipient: str  # holds a group "address", maybe "reason" and "original"
    stops: str = ""  # the recipients end here; else with the text
    reason: str = ""  # a group "reason", for all recipients; else what follows each of them
    delayed: str = ""  # says that it is no more than a delay
    reporter: str = ""  # a group "host": the reporting MTA
    paragraph: bool = False  # whether what follows a recipient ends with a blank line
    local: bool = False  # whether recipients may lack a domain
    robots: bool = False  # whether no-reply addresses sign it, and the like
    _compiled: dict[str, re.Pattern[str]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for name in ("starts", "holds", "recipient", "stops", "reason", "delayed", "reporter"):
            self._compiled[name] = pattern(getattr(self, name))

    def read(self, mail: Mail) -> Findings | None:
        """Return what *mail* says, or None where it is not of this dialect."""
        text = mail.prose[0]
        is_its = mail.is_robots if self.robots else mail.is_notice
        start = self._start(text) if is_its else -1
        if start < 0:
            return None
        ended = self._compiled["stops"].search(text, start)
        zone = text[start : ended.start() if ended else len(text)]
        return findings(self._reports(mail, text, zone))

    def _start(self, text: str) -> int:
        """Return where the recipients may begin; -1 where *text* is not of this dialect."""
        if self.holds and not self._compiled["holds"].search(text):
            return -1
        if not self.starts:
            return 0
        begun = self._compiled["starts"].search(text)
        return begun.end() if begun else -1

    def _reports(self, mail: Mail, text: str, zone: str) -> Iterator[Report]:
        hits = list(self._compiled["recipient"].finditer(zone))[:LOOKED_FOR]
        shared = self._compiled["reason"].search(text)
        is_delay = any(map(self._compiled["delayed"].search, (text, mail.subject)))
        action = Action.DELAYED if is_delay else Action.FAILED
        reporter = self._compiled["reporter"].search(text)
        seen: set[str] = set()
        for hit, chunk in chunks(hits, zone):
            address = complete(mail, hit["address"], chunk, local=self.local)
            if address and address.lower() not in seen:
                seen.add(address.lower())
                rest = chunk[hit.end() - hit.start() :]
                said = _said(hit, self._end(rest), shared)
                report = report_of(mail, address, action, said, chunk)
                yield replace(
                    report,
                    original_recipient=parse(hit.groupdict().get("original") or ""),
                    reporting_mta=reporter["host"] if reporter else "",
                )

    def _end(self, rest: str) -> str:
        return _BLANK_LINE.split(rest, maxsplit=1)[0] if self.paragraph else rest


def _said(hit: re.Match[str], rest: str, shared: re.Match[str] | None) -> str:
    """Return what is said of a recipient; at the least, the line that names him."""
    told = (hit.groupdict().get("reason"), shared["reason"] if shared else "", rest)
    return next((text for text in told if text and any(map(str.isalpha, text))), hit[0])


def chunks(hits: Sequence[re.Match[str]], text: str) -> Iterator[tuple[re.Match[str], str]]:
    """Yield each of *hits* in *text* with what stands from there to the next."""
    ends = [hit.start() for hit in hits[1:]] + [len(text)]
    for hit, end in zip(hits, ends, strict=False):
        yield hit, text[hit.start() : end]


def report_of(mail: Mail, address: str, action: Action, said: str, context: str = "") -> Report:
    """Return the report on *address*, of which *said* is the reason, in *context*."""
    context = context or said
    return Report(
        outcome=outcome_of(action),
        final_recipient=address,
        action=action,
        diagnostic_code=reason_in(said),
        command=command_in(context),
        remote_mta=host_in(context).rstrip("."),
        occurred_at=parse_date(mail.headers.get(b"date")),
        **mail.original,
    )


def complete(mail: Mail, text: str, context: str, *, local: bool) -> str:
    """Return the address in *text*, its domain found elsewhere where it lacks one; "" for none."""
    address = parse(text) or text.strip(" \t\"'<>.:")
    if is_address(address):
        return address
    if not local or not is_local_part(address) or not any(map(str.isalnum, address)):
        return ""
    for candidate in _candidates(mail, context):
        if candidate.rpartition("@")[0].lower() == address.lower() and is_address(candidate):
            return candidate
    return address


def _candidates(mail: Mail, context: str) -> Iterator[str]:
    yield from _TO.findall(context)
    yield from failed_recipients(mail)
    yield parse(mail.quoted_headers.get(b"to"))


def failed_recipients(mail: Mail) -> list[str]:
    """Return the addresses of Exim's X-Failed-Recipients, which others write too."""
    found: list[str] = []
    for value in mail.headers.all_raw(b"x-failed-recipients")[:LOOKED_FOR]:
        found += map(parse, _ENTRIES.split(header_text(value[:VALUE_LIMIT]))[:LOOKED_FOR])
    return [address for address in found if address]


def plain_text(rank: int, marks: tuple[str, ...], *dialects: Dialect) -> Parser:
    """Return a parser that reads the first of *dialects* that the mail is written in."""

    def read(mail: Mail) -> Findings | None:
        return next(filter(None, (dialect.read(mail) for dialect in dialects)), None)

    return Parser(rank=rank, read=read, marks=marks)
