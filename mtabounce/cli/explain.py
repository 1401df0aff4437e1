"""``mtabounce explain``: how a mail came to its verdict, for those who write rules."""

import os
import sys
from pathlib import Path

import click

from mtabounce.classify import Classifier
from mtabounce.classify.evidence import Evidence, of_report
from mtabounce.classify.index import Found
from mtabounce.cli._mails import mails_of
from mtabounce.cli._output import print_fields, print_json
from mtabounce.cli._rules import judge_for
from mtabounce.cli._verdict import headline, who
from mtabounce.mask import harmless
from mtabounce.model import Judged, Report, Verdict


@click.command()
@click.argument("file", type=click.Path(path_type=Path), default="-", metavar="[FILE]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a recipient.")
@click.pass_obj
def command(config: Path | None, file: Path, as_json: bool) -> None:
    """
    Show what the rules see of a mail, and which of them fit, in order.

    Rules look for their words in what is shown as text. FILE is a mail, an mbox or a Maildir;
    without it, one is read from standard input. Uses neither database nor network.
    Exits 66 where it cannot be read.

    \b
    Example:
      mtabounce explain bounce.eml
      mtabounce inputs show 17 --raw | mtabounce explain
    """
    judge = judge_for(config)
    for mail in mails_of([file]):
        if mail.error:
            click.echo(f"mtabounce: {mail.name}: {mail.error}", err=True)
            sys.exit(os.EX_NOINPUT)
        judged = judge.judge(mail.content)
        if not as_json:
            _show_reading(mail.name, judged)
        for report, verdict in zip(judged.reading.reports, judged.verdicts, strict=True):
            _tell(judge.classifier, report, verdict, as_json=as_json)


def _show_reading(name: str, judged: Judged) -> None:
    reading = judged.reading
    click.echo(f"{name}: {str(reading.outcome).replace('_', ' ')}")
    print_fields({"read by": f"the parser {reading.parser or '(none knows it)'}"}, 2)
    print_fields({"note": reading.note}, 2)


def _tell(classifier: Classifier, report: Report, verdict: Verdict, *, as_json: bool) -> None:
    evidence = of_report(report)
    seen = _seen(classifier, evidence)
    found = [one for one in classifier.matches(report) if one[0].id != verdict.rule]
    if as_json:
        fits = [{"rule": rule.id, "reason": rule.reason, "matched": words} for rule, words in found]
        told = {"rule": verdict.rule, "matched": verdict.matched, "seen": seen, "others": fits}
        print_json({"final_recipient": report.final_recipient, "reason": verdict.reason} | told)
        return
    click.echo(f"\n  {who(report)}: {headline(verdict, report.outcome)}")
    print_fields({name: harmless(value) for name, value in seen.items()}, 4)
    words = f'  "{harmless(verdict.matched)}"' if verdict.matched else ""
    click.echo(f"    decided by {verdict.rule}{words}")
    for one in found:
        click.echo(f"    fits too:  {_fit(one)}")


def _seen(classifier: Classifier, evidence: Evidence) -> dict[str, str]:
    guessed = " (the MTA's own guess: it decides last)" if evidence.guessed else ""
    return {
        "status": evidence.status_text + guessed if evidence.status else "",
        "reply code": str(evidence.reply_code or ""),
        "command": evidence.command,
        "host": evidence.host,
        "operator": classifier.operators.of(evidence.host),
        "text": evidence.text,
    }


def _fit(found: Found) -> str:
    rule, words = found
    return f"{rule.id} ({rule.reason})" + (f'  "{harmless(words)}"' if words else "")
