"""``mtabounce logs``: what the log of a mail server says, without a database."""

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import click

from mtabounce.classify import Classifier
from mtabounce.cli._output import print_json
from mtabounce.cli._rules import classifier_for
from mtabounce.logs import Delivery, Joined, LogReader, State, formats, report_of
from mtabounce.model import Outcome, Report, Verdict
from mtabounce.sources.logfile import DAMAGED, chunks, open_log
from mtabounce.sources.written import written_at


@click.group()
def command() -> None:
    """
    Read logs of Postfix and Exim.

    \b
    Example:
      mtabounce logs parse --json /var/log/mail.log
    """


@command.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE..."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["auto", *formats()]),
    default="auto",
    show_default=True,
    help="Whose log it is.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.pass_obj
def parse(config: Path | None, files: tuple[Path, ...], form: str, as_json: bool) -> None:
    """
    Print each delivery in the logs FILE that failed or was put off, with what it is about.

    FILE may be compressed; - is standard input. Several are read in the order given, as one log:
    name the oldest first. Message ids, senders and recipients that expired come from other lines
    of the same message. A delivery that was put off has a reason, but no type: it is no bounce.
    Neither is one of a message that is a bounce itself.

    Uses neither database nor network. Exits 66 where a file could not be read, or not whole; 65
    where no line, or no delivery, was understood.

    \b
    Example:
      mtabounce logs parse /var/log/mail.log.1 /var/log/mail.log
      mtabounce logs parse --json /var/log/exim4/mainlog | jq 'select(.type == "hard")'
    """
    names = () if form == "auto" else (form,)
    reading = _Reading(names, classifier_for(config))
    for delivery in reading.deliveries(files):
        report, verdict = reading.judge(delivery)
        if as_json:
            print_json(_as_json(delivery, report, verdict))
        else:
            _show(delivery, verdict)
    click.echo(reading.summary(), err=True)
    if reading.failed:
        sys.exit(os.EX_NOINPUT)
    if reading.understood_nothing:
        sys.exit(os.EX_DATAERR)


@dataclass(slots=True)
class _Reading:
    """One run over some files, and what was seen."""

    names: tuple[str, ...]
    classifier: Classifier
    lines: int = 0
    recognized: int = 0
    attempts: int = 0
    unreadable: int = 0
    unknown_expiries: int = 0
    failed: bool = False

    def deliveries(self, files: Iterable[Path]) -> Iterator[Delivery]:
        reader = LogReader(self.names, latest=datetime.now(UTC))
        for path in files:
            reader.join.clock.move(written_at(path))
            try:
                with _opened(path) as file:
                    for chunk in chunks(file):
                        yield from self._read(reader, chunk)
            except (OSError, *DAMAGED) as error:
                self.failed = True
                click.echo(f"mtabounce: {path}: {_why(error)}", err=True)

    def _read(self, reader: LogReader, chunk: bytes) -> Iterator[Delivery]:
        scanned = reader.scan(chunk)
        self.lines += scanned.lines
        self.recognized += scanned.recognized
        reader.feed(scanned)
        joined = reader.join.take()
        self._count(joined)
        yield from joined.deliveries

    def _count(self, joined: Joined) -> None:
        self.attempts += joined.attempts
        self.unreadable += joined.unreadable
        self.unknown_expiries += joined.unknown_expiries

    def judge(self, delivery: Delivery) -> tuple[Report, Verdict]:
        """Say why it failed, also where it may yet arrive; a type has only what failed."""
        report = report_of(delivery)
        verdict = self.classifier.classify(replace(report, outcome=Outcome.BOUNCE))
        if delivery.state is State.DEFERRED or delivery.reports_itself:
            verdict = verdict._replace(type=None)
        return report, verdict

    @property
    def understood_nothing(self) -> bool:
        """Whether there were lines, or deliveries, and not one was understood."""
        no_line = self.lines > 0 and not self.recognized
        return no_line or 0 < self.attempts == self.unreadable

    def summary(self) -> str:
        """Say how much was understood."""
        text = (
            f"{self.lines} lines, {self.recognized} of them about messages,"
            f" {self.attempts} deliveries"
        )
        if self.unreadable:
            text += f"; {self.unreadable} deliveries could not be read"
        if self.unknown_expiries:
            text += f"; {self.unknown_expiries} expired messages began before this log"
        if self.lines and not self.recognized:
            text += ". No line was understood: is this the log of Postfix or Exim?"
        return text


def _opened(path: Path) -> BinaryIO:
    if str(path) == "-":
        return sys.stdin.buffer
    return open_log(path) if path.is_file() else path.open("rb")  # a pipe is read once


def _why(error: BaseException) -> str:
    return (error.strerror if isinstance(error, OSError) else "") or str(error) or "is damaged"


def _as_json(delivery: Delivery, report: Report, verdict: Verdict) -> dict[str, object]:
    status = report.status or verdict.status
    return {
        "host": delivery.host,
        "instance": delivery.instance,
        "queue_id": delivery.queue_id,
        "final_recipient": delivery.final_recipient,
        "original_recipient": delivery.original_recipient,
        "reverse_path": delivery.reverse_path,
        "original_message_id": delivery.original_message_id,
        "action": report.action,
        "status": str(status) if status else None,
        "reply_code": verdict.reply_code,
        "diagnostic_code": delivery.diagnostic_code,
        "remote_mta": delivery.remote_mta,
        "occurred_at": delivery.occurred_at,
        "type": verdict.type,
        "reason": verdict.reason,
        "fault": verdict.fault,
        "rule": verdict.rule,
    }


def _show(delivery: Delivery, verdict: Verdict) -> None:
    at = delivery.occurred_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    what = verdict.type or ("delayed" if delivery.state is State.DEFERRED else "no bounce")
    click.echo(f"{at}  {delivery.final_recipient}: {what} ({verdict.reason})")
    told = " ".join(filter(None, (delivery.queue_id, delivery.remote_mta)))
    click.echo(f"    {told}: {delivery.diagnostic_code}")
