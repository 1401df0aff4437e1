"""``mtabounce why``: why a bounce is what it is, or what is known of an address."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from psycopg import Connection

from mtabounce.address import is_address, recipient_key
from mtabounce.classify.rule import Rule
from mtabounce.cli._database import connected
from mtabounce.cli._output import print_fields, print_json, print_table
from mtabounce.cli._rules import classifier_for
from mtabounce.cli._story import tell_bounce
from mtabounce.errors import UsageError
from mtabounce.store import bounces as store
from mtabounce.store import suppressions
from mtabounce.store.erasure import is_erased


@click.command()
@click.argument("subject", metavar="BOUNCE_ID|ADDRESS")
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="How many events of an address at most.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def command(ctx: click.Context, subject: str, limit: int, as_json: bool) -> None:
    """
    Say why a bounce was judged as it was, or tell the story of an address.

    \b
    Example:
      mtabounce why 17
      mtabounce why ann@example.org
    """
    config: Path | None = ctx.obj
    with connected(config) as conn:
        if subject.isdecimal():
            _why_bounce(conn, int(subject), config, as_json=as_json)
        else:
            _why_address(conn, recipient_key(subject), limit, as_json=as_json)


def _why_bounce(conn: Connection[Any], number: int, config: Path | None, *, as_json: bool) -> None:
    bounce = store.get_bounce(conn, number)
    if bounce is None:
        raise UsageError(f"there is no bounce {number}")
    evidence = store.observations_of(conn, number)
    known = {rule.id: rule for rule in classifier_for(config).rules}
    rules = {one.rule: known[one.rule] for one in evidence if one.rule in known}
    if as_json:
        told = {name: _rule_facts(rule) for name, rule in rules.items()}
        print_json(asdict(bounce) | {"evidence": [asdict(e) for e in evidence], "rules": told})
        return
    tell_bounce(bounce, evidence)
    _tell_rules(rules)


def _tell_rules(rules: Mapping[str, Rule]) -> None:
    for name, rule in rules.items():
        click.echo(f"\nRule {name} of {rule.file}:")
        print_fields(_rule_facts(rule), 2)


def _rule_facts(rule: Rule) -> dict[str, object]:
    return {**rule.conditions(), "says": rule.reason, "source": rule.source}


def _why_address(conn: Connection[Any], address: str, limit: int, *, as_json: bool) -> None:
    recipient = store.get_recipient(conn, address)
    if recipient is None:
        if is_erased(conn, address):
            raise UsageError(f"{address} was erased: nothing is known of it but that, by a hash")
        odd = "" if is_address(address) else ", which is no address"
        raise UsageError(f"nothing was ever reported about {address}{odd}")
    story = store.story_of(conn, recipient.id, limit)
    against = suppressions.check_addresses(conn, [address])
    decisions = suppressions.decisions_on(conn, recipient.id, limit)
    if as_json:
        print_json(
            asdict(recipient)
            | {
                "suppressions": [asdict(one) for one in against],
                "decisions": [asdict(one) for one in decisions],
                "story": [asdict(episode) for episode in story],
            }
        )
        return
    counts = f"{recipient.hard} hard, {recipient.soft} soft, {recipient.complaints} complaints"
    click.echo(f"{address}: {counts}")
    print_fields({"last bounce": recipient.last_bounce_at, "known since": recipient.created_at}, 2)
    _tell_standing(against, decisions)
    if not story:
        return
    print_table(
        ("WHEN", "BOUNCE", "WHAT", "REASON", "STATUS", "TRUST", "SOURCE", "RULE", "SAID"),
        [
            (one.occurred_at, one.bounce_id, one.type or one.outcome, one.reason, one.status,
             one.trust, one.source, one.rule, one.diagnostic_code[:120])
            for one in story
        ],
    )  # fmt: skip


def _tell_standing(
    against: Sequence[suppressions.StoredSuppression],
    decisions: Sequence[suppressions.StoredDecision],
) -> None:
    click.echo("\nSuppressed:" if against else "\nNot suppressed.")
    for one in against:
        facts = {"scope": one.scope, "since": one.since, "until": one.until or "for good"}
        behind = {"cause": one.cause, "reason": one.reason, "bounce": one.bounce_id}
        print_fields(facts | behind | {"why": one.why, "by the setting": one.settings}, 2)
    if decisions:
        print_table(
            ("WHEN", "WHO", "DECIDED", "SCOPE", "BOUNCES", "WHY"),
            [
                (one.decided_at, one.actor, one.action, one.scope, one.bounces, one.why)
                for one in decisions
            ],
        )
