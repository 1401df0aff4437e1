"""``mtabounce rules``: what the rules are, which of them fit, and what is wrong with them."""

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import click
from rich.box import SIMPLE_HEAD
from rich.table import Table

from mtabounce.classify import Classifier
from mtabounce.classify.lint import lint
from mtabounce.classify.rule import Rule
from mtabounce.cli._output import PipedConsole
from mtabounce.cli._rules import classifier_for
from mtabounce.errors import UsageError
from mtabounce.model import EnhancedStatus, Outcome, Report
from mtabounce.reasons import did_you_mean

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group()
def command() -> None:
    """
    Show, try and check the rules: yours first, then those of the program.

    \b
    Example:
      mtabounce rules test "550 5.7.1 Recipient address rejected: Greylisted"
    """


@command.command("list")
@click.option("--reason", help="Only rules that give this reason.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.pass_obj
def list_rules(config: Path | None, reason: str | None, as_json: bool) -> None:
    """
    List the rules in the order in which they are tried.

    \b
    Example:
      mtabounce rules list --reason mailbox_full
    """
    classifier = classifier_for(config)
    if reason and reason not in classifier.reasons:
        raise UsageError(f"no reason '{reason}'{did_you_mean(reason, classifier.reasons)}")
    rules = [rule for rule in classifier.rules if reason in (None, rule.reason)]
    if as_json:
        _print_lines(_as_json(classifier, rule) for rule in rules)
        return
    table = Table("id", "reason", "type", "file", box=SIMPLE_HEAD)
    for rule in rules:
        table.add_row(rule.id, rule.reason, _type(classifier, rule), rule.file)
    PipedConsole(width=None if sys.stdout.isatty() else 120).print(table)


@command.command()
@click.argument("rule_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_obj
def show(config: Path | None, rule_id: str, as_json: bool) -> None:
    """
    Show one rule: what it asks for, what it means, where it comes from.

    \b
    Example:
      mtabounce rules show google-account-disabled
    """
    classifier = classifier_for(config)
    known = {rule.id: rule for rule in classifier.rules}
    if rule_id not in known:
        raise UsageError(f"no rule '{rule_id}'{did_you_mean(rule_id, known)}")
    rule = known[rule_id]
    if as_json:
        _print_lines([_as_json(classifier, rule)])
        return
    reason = classifier.reasons[rule.reason]
    click.echo(f"{rule.id}  ({rule.file})")
    click.echo(f"  means   {rule.reason}, {_type(classifier, rule)}: {reason.description}")
    for key, value in rule.conditions().items():
        click.echo(f"  {key:<7} {value}")
    click.echo(f"  source  {rule.source or '(not said)'}")
    for example in rule.match:
        click.echo(f"  match   {example}")
    for example in rule.no_match:
        click.echo(f"  not     {example}")


@command.command()
@click.argument("text")
@click.option("--host", default="", help="The server that said it, as mx.example.org.")
@click.option("--status", "codes", default="", help="The Status field of the report.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.pass_obj
def test(config: Path | None, text: str, host: str, codes: str, as_json: bool) -> None:
    """
    Show which rules fit TEXT, an SMTP reply; the first decides.

    \b
    Example:
      mtabounce rules test "552 5.2.2 over quota" --host mx.example.org
    """
    classifier = classifier_for(config)
    report = Report(
        outcome=Outcome.BOUNCE,
        final_recipient="",
        diagnostic_code=text,
        remote_mta=host,
        status=EnhancedStatus.find(codes),
    )
    found = classifier.matches(report)
    if as_json:
        _print_lines(_as_json(classifier, rule) | {"matched": words} for rule, words in found)
        return
    for number, (rule, words) in enumerate(found):
        decides = "decides" if number == 0 else "  too  "
        said = f'  "{words}"' if words else ""
        click.echo(f"{decides}  {rule.id}: {rule.reason}, {_type(classifier, rule)}{said}")


@command.command("lint")
@click.argument("folder", type=_FOLDER, required=False, metavar="[DIR]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.pass_obj
def lint_rules(config: Path | None, folder: Path | None, as_json: bool) -> None:
    """
    Check your own rules: of DIR, or of the folder that the configuration names.

    Says which examples fail, which rules an earlier one shadows, which are slow, and which have
    no examples. Exits 65 if anything is found, 78 if a file cannot be read as rules.

    \b
    Example:
      mtabounce rules lint /etc/mtabounce/rules
    """
    classifier = classifier_for(config, folder)
    own = [rule for rule in classifier.rules if rule.own]
    if folder and not own:
        raise UsageError(f"{folder}: there are no rules in it; they are in files *.toml")
    findings = list(lint(classifier, own or classifier.rules))
    if as_json:
        _print_lines(asdict(finding) for finding in findings)
    else:
        for finding in findings:
            click.echo(f"{finding.file}: rule '{finding.rule}': {finding.message}")
        checked = len(own or classifier.rules)
        click.echo(f"{checked} rules checked, {len(findings)} findings.", err=True)
    if findings:
        sys.exit(os.EX_DATAERR)


def _print_lines(rows: Iterable[object]) -> None:
    for row in rows:
        click.echo(json.dumps(row))


def _as_json(classifier: Classifier, rule: Rule) -> dict[str, object]:
    reason = classifier.reasons[rule.reason]
    return {
        "id": rule.id,
        "file": rule.file,
        "reason": rule.reason,
        "type": reason.type,
        "fault": reason.fault,
        "source": rule.source,
        "conditions": rule.conditions(),
        "match": rule.match,
        "no_match": rule.no_match,
    }


def _type(classifier: Classifier, rule: Rule) -> str:
    return str(classifier.reasons[rule.reason].type or "no failure")
