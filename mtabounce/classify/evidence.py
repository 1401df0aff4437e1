"""What a rule may look at: the effective codes and the words of one report."""

from dataclasses import dataclass

from mtabounce.classify.reply import named_host, read_reply
from mtabounce.model import EnhancedStatus, Outcome, Report


@dataclass(slots=True)
class Evidence:
    """All that the rules see of one report."""

    text: str = ""  # the remote server's words: lines joined, repeated codes dropped
    reply_code: int | None = None
    status: EnhancedStatus | None = None  # the effective one
    command: str = ""  # upper case
    host: str = ""  # of the remote MTA, or else the recipient's domain; "" where unknown
    outcome: Outcome = Outcome.BOUNCE
    guessed: bool = False  # an MTA's own Status for a reply that held no such code
    action: str = ""  # RFC 3464 §2.3.3; "" where unknown
    feedback_type: str = ""

    @property
    def status_text(self) -> str:
        """The effective status as text, "" where there is none."""
        return str(self.status) if self.status else ""

    @property
    def is_temporary(self) -> bool:
        """Whether the answer invites another try: the reply code says so, else the status."""
        if self.reply_code is not None:
            return self.reply_code < 500
        return self.status is not None and self.status.class_ == 4


def of_report(report: Report) -> Evidence:
    """Return what *report* holds for the rules, its effective status and reply code worked out."""
    text, code, status, command, host = read_reply(report.diagnostic_code)
    return Evidence(
        outcome=report.outcome,
        status=_more_telling(status, report.status),
        guessed=status is None and code is not None,
        reply_code=code or report.reply_code,
        text=text,
        command=report.command.upper() or command,
        host=report.remote_mta or host or named_host(text) or _domain(report.final_recipient),
        action=report.action or "",
        feedback_type=report.feedback_type.lower(),
    )


def of_reply(text: str) -> Evidence:
    """Return what the reply *text* alone holds for the rules."""
    words, code, status, command, host = read_reply(text)
    return Evidence(words, code, status, command, host or named_host(words))


def _more_telling(
    said: EnhancedStatus | None, field: EnhancedStatus | None
) -> EnhancedStatus | None:
    """Prefer the reply's own status, unless it is x.0.0 and the Status field says more."""
    if said is None:
        return field
    return said if not said.is_vague or field is None or field.class_ == 2 else field


def _domain(recipient: str) -> str:
    return recipient.rpartition("@")[2].strip("<> ")
