"""What a rule may look at: the effective codes and the words of one report."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mtabounce.model import EnhancedStatus, Outcome, Report

LONGEST = 8192  # characters of a reply that are read; RFC 5321 §4.5.3.1.5 allows 512 bytes a line

# A reply code is no part of a word, an address or a version: "550 x", "550-5.1.1 x", "#550 5.1.1",
# "550: 5.1.1", "<421 4.4.2 …"; the status may stand right behind it.
_CODE = re.compile(
    r"(?<![\w.@/:+-])([45][0-7]\d)(?!\w|[.:]\d|\.\w|[%@])"
    r"(?:[ :#(-]{1,3}([245]\.\d{1,3}\.\d{1,3})(?![\d.]*\d|\w))?"
)
_STATUS = re.compile(r"(?<![\w.])([45]\.\d{1,3}\.\d{1,3})(?![\d.]*\d|[\w-]*@|\w)")
_SAID_BY = re.compile(r"\bhost ([\w.-]+) ?\[", re.ASCII)


@dataclass(slots=True)
class Evidence:
    """All that the rules see of one report. Texts are folded to single spaces."""

    outcome: Outcome = Outcome.BOUNCE
    status: EnhancedStatus | None = None  # the effective one
    guessed: bool = False  # an MTA's own Status for a reply that held no such code
    reply_code: int | None = None
    text: str = ""  # multi-line replies joined, repeated codes dropped
    command: str = ""
    host: str = ""  # of the remote MTA; "" where unknown
    action: str = ""  # RFC 3464 §2.3.3; "" where unknown
    feedback_type: str = ""

    @property
    def is_temporary(self) -> bool:
        """Whether the answer invites another try: the reply code says so, else the status."""
        if self.reply_code is not None:
            return self.reply_code < 500
        return self.status is not None and self.status.class_ == 4


def of_report(report: Report) -> Evidence:
    """Return what *report* holds for the rules, its effective status and reply code worked out."""
    text = joined(report.diagnostic_code)
    code, status = codes(text)
    guessed = status is None and code is not None
    if status is None or (status.is_vague and report.status is not None):
        status = _more_telling(status, report.status)
    return Evidence(
        outcome=report.outcome,
        status=status,
        guessed=guessed,
        reply_code=code or report.reply_code,
        text=without_repeats(text, code),
        command=report.command.upper(),
        host=report.remote_mta or _host_in(text) or _domain(report.final_recipient),
        action=report.action or "",
        feedback_type=report.feedback_type.lower(),
    )


def of_reply(text: str) -> Evidence:
    """Return what the reply *text* alone holds for the rules."""
    text = joined(text)
    code, status = codes(text)
    return Evidence(
        status=status,
        reply_code=code,
        text=without_repeats(text, code),
        host=_host_in(text),
    )


def joined(text: str) -> str:
    r"""Return *text* as one line of single spaces, cut to LONGEST; Exim's ``\n`` is a space."""
    return " ".join(text[:LONGEST].replace("\\n", " ").split())


def codes(text: str) -> tuple[int | None, EnhancedStatus | None]:
    """Return the reply code and the enhanced status of a one-line reply, None where missing."""
    first: str | None = None
    for code, status in _coded(text):
        first = first or code
        if status and code == first:
            return int(code), EnhancedStatus.find(status)
    loose = _STATUS.search(text)
    return int(first) if first else None, EnhancedStatus.find(loose[1]) if loose else None


def without_repeats(text: str, code: int | None) -> str:
    """Return *text* without the codes that each line of a multi-line reply repeats."""
    start = text.find(str(code)) + 3 if code else 0
    if not code or text.find(str(code), start) < 0:
        return text
    repeated = rf"(?<=[ ]){code}[ -](?:[245]\.\d{{1,3}}\.\d{{1,3}} )?"
    return text[:start] + re.sub(repeated, "", text[start:])


def _coded(text: str) -> Iterator[tuple[str, str]]:
    for found in _CODE.finditer(text):
        yield found[1], found[2] or ""


def _more_telling(
    said: EnhancedStatus | None, field: EnhancedStatus | None
) -> EnhancedStatus | None:
    """Prefer the reply's own status, unless only the Status field says more than x.0.0."""
    if said is None:
        return field
    return said if field is None or field.is_vague or field.class_ == 2 else field


def _host_in(text: str) -> str:
    found = _SAID_BY.search(text)
    return found[1] if found else ""


def _domain(recipient: str) -> str:
    return recipient.rpartition("@")[2].strip("<> ")
