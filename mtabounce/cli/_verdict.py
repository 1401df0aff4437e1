"""A verdict in words, safe for a terminal."""

from mtabounce.mask import harmless
from mtabounce.model import Outcome, Report, Verdict


def headline(verdict: Verdict, outcome: Outcome = Outcome.BOUNCE) -> str:
    """Return type, reason and fault of *verdict* on news of the kind *outcome*."""
    fault = f", the {verdict.fault}'s fault" if verdict.fault and verdict.fault != "unknown" else ""
    if outcome is Outcome.DELAYED:
        why = "" if verdict.reason == "delayed" else f", {verdict.reason}{fault}"
        return f"delayed{why}: no failure yet"
    return f"{verdict.type or 'no failure'}, {verdict.reason}{fault}"


def who(report: Report) -> str:
    """Return whom *report* is about."""
    name = report.final_recipient or report.original_recipient or "(no recipient named)"
    return harmless(name)
