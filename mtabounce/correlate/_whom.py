"""Whom a report is about: by its own words, or else by the return paths that it came to."""

from collections.abc import Iterable
from dataclasses import dataclass

from mtabounce.address import normalize, recipient_key
from mtabounce.model import Report


@dataclass(frozen=True, slots=True)
class ReturnPath:
    """A return path that a report came to, and what it tells."""

    recipient: str  # normalized; whom the failed mail went to
    campaign: str = ""
    mark: str = ""  # the same for all mails with this return path; "": it is not signed
    is_spoilt: bool = False  # it looks signed, and is not, or no more


def recipient_of(report: Report, paths: Iterable[ReturnPath] = ()) -> str:
    """
    Return whom *report* is about, normalized where that can be; "" for nobody.

    Where it names nobody, as a complaint that hides who complained, *paths* must agree on one.
    """
    if not report.final_recipient:  # then the original one is what was written in its place
        return _only_one(path.recipient for path in paths)
    for name in (report.original_recipient, report.final_recipient):
        if key := key_of(name):
            return key
    return recipient_key(report.final_recipient)[:320]


def proof_of(paths: Iterable[ReturnPath], report: Report, recipient: str) -> ReturnPath | None:
    """
    Return the signed one of *paths* that was made for whom *report* names; None where none was.

    *recipient* is who recipient_of() says. The proof is of its own recipient only, whoever else
    the report names: each reader of a newsletter has a return path, and may write anything to it.
    """
    names = {recipient, key_of(report.original_recipient), key_of(report.final_recipient)} - {""}
    return next((path for path in paths if path.mark and path.recipient in names), None)


def domain_of(recipient: str) -> str:
    """Return the domain of a recipient as it is stored; empty for a local name without one."""
    return recipient.rpartition("@")[2] if "@" in recipient else ""


def key_of(address: str) -> str:
    """Return *address* as recipients are stored; "" where it is none."""
    try:
        return normalize(address)
    except ValueError:
        return ""


def _only_one(names: Iterable[str]) -> str:
    found = set(names) - {""}
    return found.pop() if len(found) == 1 else ""


def passed_on_to(report: Report, recipient: str) -> frozenset[str]:
    """Return the names, normalized, that a mail to *recipient* had after that one."""
    names = (report.expanded_from, report.final_recipient)
    found = (key_of(name) for name in names if name not in ("", recipient))
    return frozenset(found) - {"", recipient}
