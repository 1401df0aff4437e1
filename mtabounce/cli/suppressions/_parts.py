"""What the commands of suppressions share."""

from collections.abc import Sequence

import click

from mtabounce.address import normalize
from mtabounce.cli._output import print_json, print_table
from mtabounce.errors import UsageError
from mtabounce.policy.scopes import scope_key
from mtabounce.store.suppressions import StoredSuppression


class Scope(click.ParamType[str]):
    """What a suppression covers, as it is stored."""

    name = "scope"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Return it as scopes are compared."""
        try:
            return scope_key(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def show(found: Sequence[StoredSuppression], *, as_json: bool) -> None:
    """Print suppressions: a table, or one JSON object a line."""
    if as_json:
        for one in found:
            print_json(one)
        return
    print_table(
        ("SINCE", "UNTIL", "RECIPIENT", "CAUSE", "REASON", "SCOPE", "BOUNCE", "WHY"),
        [
            (one.since, one.until, one.recipient, one.cause, one.reason, one.scope, one.bounce_id,
             one.why)
            for one in found
        ],
    )  # fmt: skip


def normal(address: str) -> str:
    """Return *address* as it is stored. Raises UsageError where it is none."""
    try:
        return normalize(address)
    except ValueError as error:
        raise UsageError(str(error)) from None
