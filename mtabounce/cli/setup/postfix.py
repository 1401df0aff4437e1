"""``mtabounce setup postfix``: a transport for the bounces, and whom to refuse."""

import re
from pathlib import Path

import click

from mtabounce.cli.setup._edits import Edit, without
from mtabounce.cli.setup._plan import Plan, endpoint, options
from mtabounce.errors import UsageError

_OPEN = "timeout=3s, try_limit=1, default_action=DUNNO"  # where nobody answers, mail goes on
_RESTRICTIONS = [
    f"smtpd_{stage}_restrictions" for stage in ("recipient", "sender", "helo", "client")
]


@click.command()
@options("/etc/postfix")
def command(config: Path | None, **words: object) -> None:
    """
    Show the changes to Postfix, make them, or take them back.

    \b
    Example:
      mtabounce setup postfix --domain bounces.example.org --suppressed --apply
      mtabounce setup postfix --domain bounces.example.org --undo
    """
    plan = Plan(config, words)
    plan.carry_out(_postfix(plan), "postfix check && postfix reload")


def _postfix(plan: Plan) -> list[Edit]:
    main, folder = plan.folder / "main.cf", plan.folder
    table = folder / "mtabounce_transport"
    edits = [
        _added(main, "relay_domains", plan.domain),
        _added(main, "transport_maps", f"texthash:{table}"),
    ]
    keep = ["  -o smtp_generic_maps=", "  -o smtp_header_checks=", "  -o smtp_body_checks="]
    if plan.way == "pipe":
        to = "mtabounce-pipe:"
        service = [
            "mtabounce-pipe unix - n n - 20 pipe",
            f"  flags=q user={plan.user} null_sender=",
            f"  argv={plan.script.path} -f ${{sender}} -- ${{recipient}}",
        ]
        edits.append(plan.script)
        edits.append(Edit(main, ["mtabounce-pipe_destination_recipient_limit = 1"]))
    elif plan.way == "lmtp":
        to = f"mtabounce:unix:{plan.socket}"
        service = [
            "mtabounce unix - - n - - lmtp",
            *(one.replace("smtp_", "lmtp_") for one in keep),
        ]
    else:
        to = f"mtabounce:[127.0.0.1]:{plan.port}"
        service = ["mtabounce unix - - n - - smtp", "  -o smtp_tls_security_level=none", *keep]
    edits.append(Edit(folder / "master.cf", service))
    edits.append(Edit(table, [f"{plan.domain}    {to}"], is_new=True))
    return edits + _postfix_refuses(plan, main) if plan.refuses else edits


def _postfix_refuses(plan: Plan, main: Path) -> list[Edit]:
    """
    Return the edit by which Postfix asks, before anything permits.

    Postfix goes through each of these lists for each RCPT (smtpd_delay_reject), so that the first
    which main.cf does not set will do.
    """
    known = without(main.read_text(errors="replace")) if main.exists() else ""
    free = [
        name for name in _RESTRICTIONS if not re.search(rf"^{name}[ \t]*=", known, re.MULTILINE)
    ]
    asks = f"check_policy_service {{ {endpoint(plan.lookup)}, {_OPEN} }}"
    if not free and plan.refuses_by_word:
        raise UsageError(f"{main}: put this first in smtpd_recipient_restrictions: {asks}")
    return [Edit(main, [f"{free[0]} =", f"    {asks}"])] if free else []


def _added(main: Path, name: str, value: str) -> Edit:
    """Return the edit that adds *value* to the list *name*, whether main.cf has it or not."""
    entry = re.compile(rf"^{name}[ \t]*=.*\n(?:[ \t]+\S.*\n)*", re.MULTILINE)
    if main.exists() and entry.search(without(main.read_text(errors="replace"))):
        return Edit(main, [f"    {value}"], after=entry)
    return Edit(main, [f"{name} = {value}"])
