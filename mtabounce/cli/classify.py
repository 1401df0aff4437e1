"""``mtabounce classify``: what mails and replies say, and by which rule."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click

from mtabounce.classify import Classifier
from mtabounce.cli._mails import Mail, mails_of
from mtabounce.cli._rules import judge_for
from mtabounce.cli._verdict import headline, who
from mtabounce.errors import UsageError
from mtabounce.mask import harmless
from mtabounce.model import Judged, Report, Verdict
from mtabounce.pipeline.judge import Judge

_FIELDS = (
    "reporting_mta", "queue_id", "original_envelope_id", "original_message_id", "original_from",
    "original_subject", "campaign", "subscriber", "list_id", "feedback_id", "feedback_type",
)  # fmt: skip


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.option(
    "--files-from",
    type=click.File("r", errors="surrogateescape"),
    help="Read the names of the files from here, one a line; - is standard input.",
)
@click.option(
    "--replies-from",
    type=click.File("rb"),
    help="Read SMTP replies instead, one a line, bare or as JSON strings; - is standard input.",
)
@click.option(
    "--rules",
    type=click.Path(path_type=Path, file_okay=False),
    help="Try the rules of this folder first.",
)
@click.pass_obj
def command(
    config: Path | None,
    files: tuple[Path, ...],
    as_json: bool,
    files_from: Iterator[str] | None,
    replies_from: BinaryIO | None,
    rules: Path | None,
) -> None:
    """
    Say what bounces mean: for each recipient, type, reason, fault, the rule and its words.

    FILE is a mail, an mbox, a Maildir, or a folder of them, compressed or not; without any, a mail
    is read from standard input.
    Uses neither database nor network. Exits 66 where a file could not be read.

    \b
    Example:
      mtabounce classify bounce.eml
      mtabounce classify --json ~/Maildir | jq .reports
      echo '"550 5.1.1 no such user"' | mtabounce classify --json --replies-from -
    """
    judge = judge_for(config, rules)
    if replies_from is not None:
        _replies(replies_from, judge.classifier, as_json=as_json)
        return
    names = [Path(line.rstrip("\n")) for line in files_from or () if line.strip()]
    paths = [*files, *names]
    found = mails_of(paths) if paths or files_from else mails_of([Path("-")])
    failed = _mails(found, judge, as_json=as_json)
    if failed:
        sys.exit(os.EX_NOINPUT)


def _mails(mails: Iterator[Mail], judge: Judge, *, as_json: bool) -> bool:
    """Print each of *mails*, judged; return whether one could not be read."""
    failed = False
    for mail in mails:
        failed |= bool(mail.error)
        judged = None if mail.error else judge.judge(mail.content)
        if as_json:
            _write_json(_as_json(mail, judged))
        elif judged is None:
            click.echo(f"mtabounce: {mail.name}: {mail.error}", err=True)
        else:
            _show(mail, judged)
    return failed


def _as_json(mail: Mail, judged: Judged | None) -> dict[str, object]:
    if judged is None:
        return {"file": mail.name, "outcome": None, "reports": [], "note": "", "error": mail.error}
    pairs = zip(judged.reading.reports, judged.verdicts, strict=True)
    return {
        "file": mail.name,
        "outcome": judged.reading.outcome,
        "reports": [_report_as_json(report, verdict) for report, verdict in pairs],
        "note": judged.reading.note,
        "error": None,
    }


def _report_as_json(report: Report, verdict: Verdict) -> dict[str, object]:
    return {
        "final_recipient": report.final_recipient,
        "original_recipient": report.original_recipient,
        "action": report.action,
        "status": str(verdict.status) if verdict.status else None,
        "reply_code": verdict.reply_code,
        "diagnostic_code": report.diagnostic_code,
        "type": verdict.type,
        "reason": verdict.reason,
        "fault": verdict.fault,
        "rule": verdict.rule,
        "remote_mta": report.remote_mta,
        "original_date": report.original_date.isoformat() if report.original_date else None,
    } | {name: getattr(report, name) for name in _FIELDS}


def _show(mail: Mail, judged: Judged) -> None:
    note = f" ({judged.reading.note})" if judged.reading.note else ""
    click.echo(f"{mail.name}: {str(judged.reading.outcome).replace('_', ' ')}{note}")
    for report, verdict in zip(judged.reading.reports, judged.verdicts, strict=True):
        click.echo(f"  {who(report)}: {headline(verdict, report.outcome)}")
        _show_evidence(verdict, report.diagnostic_code)


def _show_evidence(verdict: Verdict, said: str) -> None:
    words = f', by the words "{harmless(verdict.matched)}"' if verdict.matched else ""
    click.echo(f"    rule   {verdict.rule}{words}")
    codes = [str(code) for code in (verdict.reply_code, verdict.status) if code]
    if codes:
        click.echo(f"    codes  {' '.join(codes)}")
    if said:
        click.echo(f"    reply  {harmless(' '.join(said.split())[:400])}")


def _replies(lines: BinaryIO, classifier: Classifier, *, as_json: bool) -> None:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        verdict = classifier.classify_reply(_reply(line, number))
        if as_json:
            _write_json(_verdict_as_json(verdict))
        else:
            click.echo(headline(verdict))
            _show_evidence(verdict, "")


def _reply(line: bytes, number: int) -> str:
    if not line.lstrip().startswith((b'"', b"{", b"[")):
        return line.decode("utf-8", "replace").strip()
    try:
        text = json.loads(line)
    except ValueError:
        text = None
    if not isinstance(text, str):
        raise UsageError(f"--replies-from: line {number} is not a JSON string")
    return text


def _write_json(row: dict[str, object]) -> None:
    # Not click.echo, which flushes each line: a third of the time for short replies.
    sys.stdout.write(json.dumps(row) + "\n")


def _verdict_as_json(verdict: Verdict) -> dict[str, object]:
    return {
        "type": verdict.type,
        "reason": verdict.reason,
        "fault": verdict.fault,
        "status": str(verdict.status) if verdict.status else None,
        "rule": verdict.rule,
    }
