"""``mtabounce webhook parse``: what a request says, without a database."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from mtabounce.cli._output import print_json
from mtabounce.cli._rules import judge_for
from mtabounce.correlate import counted
from mtabounce.errors import ConfigError, UsageError
from mtabounce.model import Report, Verdict
from mtabounce.providers import UNREADABLE, Provider, Said, provider, read


@click.command()
@click.argument("name", metavar="PROVIDER")
@click.argument("body", type=click.Path(path_type=Path))
@click.option(
    "--headers",
    "headers_file",
    type=click.Path(path_type=Path),
    help="A file with the request's headers, as a JSON object.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def command(
    config: Path | None, name: str, body: Path, headers_file: Path | None, as_json: bool
) -> None:
    """
    Say what BODY, the body of a request of PROVIDER, holds. Signatures are not checked.

    Uses neither database nor network. Exits 65 where nothing of it can be read.

    \b
    Example:
      mtabounce webhook parse sendgrid --json events.json
    """
    judge = judge_for(config)
    whose = judge.providers.get(name) or _shipped(name)
    said = read(whose, _content(body), _headers(headers_file), judge.names)
    rows = [
        _row(report, counted(report, judge.classifier.classify(report))) for report in said.reports
    ]
    _show(rows, said, as_json=as_json)
    if any(one.why == UNREADABLE for one in said.ignored):
        sys.exit(os.EX_DATAERR)


def _shipped(name: str) -> Provider:
    try:
        return provider(name)
    except ConfigError as error:
        raise UsageError(f"there is no section [webhooks.{name}], and {error}") from None


def _show(rows: list[dict[str, Any]], said: Said, *, as_json: bool) -> None:
    if as_json:
        ignored = [{"event": one.event, "why": one.why} for one in said.ignored]
        print_json({"reports": rows, "ignored": ignored})
        return
    for row in rows:
        about = row["reason"] if row["type"] is None else f"{row['type']}, {row['reason']}"
        click.echo(f"{row['final_recipient']}: {about}  ({row['native_code']})")
    for one in said.ignored:
        click.echo(f"not used: {one.why}: {one.event or '(no kind)'}")


def _row(report: Report, verdict: Verdict) -> dict[str, Any]:
    return {
        "outcome": report.outcome,
        "final_recipient": report.final_recipient,
        "type": verdict.type,
        "reason": verdict.reason,
        "fault": verdict.fault,
        "rule": verdict.rule,
        "status": str(verdict.status) if verdict.status else None,
        "reply_code": verdict.reply_code,
        "diagnostic_code": report.diagnostic_code,
        "remote_mta": report.remote_mta,
        "message_id": report.queue_id,
        "original_message_id": report.original_message_id,
        "campaign": report.campaign,
        "subscriber": report.subscriber,
        "native_code": report.native_code,
        "occurred_at": report.occurred_at,
    }


def _content(path: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


def _headers(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    try:
        found = json.loads(_content(path))
    except ValueError:
        raise UsageError(f"{path}: is no JSON") from None
    if not isinstance(found, dict):
        raise UsageError(f"{path}: is no JSON object")
    return {str(name).lower(): str(value) for name, value in found.items()}
