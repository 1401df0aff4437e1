"""The story of a bounce, as commands tell it."""

from dataclasses import asdict

import click

from mtabounce.cli._output import print_fields
from mtabounce.store.bounces import StoredBounce, StoredObservation

_EVIDENCE = (
    "final_recipient", "original_recipient", "action", "status", "reply_code", "diagnostic_code",
    "remote_mta", "reporting_mta", "queue_id", "original_message_id", "campaign",
)  # fmt: skip


def tell_bounce(bounce: StoredBounce, evidence: list[StoredObservation]) -> None:
    """Print what is known of *bounce*, and by what *evidence*."""
    click.echo(f"Bounce {bounce.id}: {bounce.recipient} failed ({bounce.type}, {bounce.reason})")
    facts = asdict(bounce) | bounce.meta
    for name in ("id", "recipient", "type", "reason", "meta", "observations"):
        del facts[name]
    print_fields(_spelled(facts), 2)
    times = "observation" if bounce.observations == 1 else "observations"
    click.echo(f"\nBy {bounce.observations} {times}:")
    for one in evidence:
        origin = f"input {one.input_id}" if one.input_id else "no input"
        when = one.occurred_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        click.echo(f"\n  {when} by {one.source} ({origin}): {one.outcome}, {one.trust}")
        words = f': "{one.matched}"' if one.matched else ""
        click.echo(f"    rule {one.rule} says {one.reason}{words}")
        told = {name: getattr(one, name) for name in _EVIDENCE}
        print_fields(_spelled(told | one.facts | {"read by": one.parser}), 4)


def _spelled(facts: dict[str, object]) -> dict[str, object]:
    return {name.replace("_", " "): value for name, value in facts.items()}
