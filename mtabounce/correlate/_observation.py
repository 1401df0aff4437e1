"""What was observed of one recipient."""

from dataclasses import dataclass
from datetime import datetime

from mtabounce.correlate._refs import Ref
from mtabounce.model import Report, Trust, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """A report with its verdict, whom it is about, and what it is known by."""

    recipient: str  # normalized; the address that we mailed, where the report says
    occurred_at: datetime
    key: bytes  # 16 bytes; the same for two copies of one mail
    source: str
    parser: str
    trust: Trust
    report: Report
    verdict: Verdict
    refs: tuple[Ref, ...]
    input_id: int | None = None
    is_spoilt: bool = False  # it came to a return path that proves nothing, and should have

    @property
    def counts(self) -> bool:
        """Whether it is a failure or a complaint, and so part of a bounce."""
        return self.verdict.type is not None


def counted(report: Report, verdict: Verdict) -> Verdict:
    """
    Return *verdict* as it is recorded: only a failure or a complaint has a type there.

    This is the one place that keeps delays out of bounces, counts and suppressions.
    """
    return verdict if report.outcome.is_failure else verdict._replace(type=None)
