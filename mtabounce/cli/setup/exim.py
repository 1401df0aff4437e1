"""``mtabounce setup exim``: a router and a transport for the bounces, and whom to refuse."""

import re
from collections.abc import Sequence
from pathlib import Path

import click

from mtabounce.cli.setup._edits import Edit
from mtabounce.cli.setup._plan import Plan, endpoint, options
from mtabounce.errors import UsageError

_OWN_ACL = re.compile(r"^MAIN_ACL_CHECK_RCPT[ \t]*=", re.MULTILINE)
_DEFAULT = re.compile(r"^\.ifndef MAIN_ACL_CHECK_RCPT\b.*?^\.endif", re.MULTILINE | re.DOTALL)
_EXIM_FIRST = "MAIN_ACL_CHECK_RCPT = mtabounce_check_rcpt"
_EXIM_ASKS = (  # as contrib/exim/acl.suppressed.lookup
    "mtabounce_suppressed:",
    "  warn    set acl_m_mtabounce = ${readsocket{WHERE}\\",
    r"            {recipient=${sg{$acl_arg1}{[\\n\\r]}{}}\n\n}{3s}{}{}}",
    "  warn    set acl_m_mtabounce = ${if match{$acl_m_mtabounce}\\",
    r"            {\N^action=550 5\.7\.1 (.+)\N}{$1}{}}",
    "  accept  condition = ${if def:acl_m_mtabounce}",
    "  deny",
)
_EXIM_REFUSES = [
    "",
    "mtabounce_check_rcpt:",
    "  deny    condition = ${if or {{def:sender_host_authenticated}{!def:sender_host_address}\\",
    "                      {match_ip{$sender_host_address}{+relay_from_hosts}}}}",
    "          condition = ${if acl {{mtabounce_suppressed}{$local_part@$domain}}}",
    "          message = 5.7.1 $acl_m_mtabounce",
    "  require acl = acl_check_rcpt",
    "  accept",
]
_EXIM_RETURNS = (
    "  driver = redirect",
    "  condition = ${if !def:sender_host_address}",
    "  condition = ${if acl {{mtabounce_suppressed}{$local_part@$domain}}}",
    "  allow_fail",
    "  data = :fail: 550 5.7.1 $acl_m_mtabounce",
)


@click.command()
@options("/etc/exim4")
def command(config: Path | None, **words: object) -> None:
    """
    Show the changes to Exim in Debian's split configuration, make them, or take them back.

    The domain has to be one that Exim takes mail for: see dc_relay_domains.

    \b
    Example:
      mtabounce setup exim --domain bounces.example.org --way lmtp
    """
    plan = Plan(config, words)
    plan.carry_out(_exim(plan), "update-exim4.conf && systemctl reload exim4")


def _exim(plan: Plan) -> list[Edit]:
    folder = plan.folder / "conf.d"
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is none: this is not Debian's split configuration")
    if plan.way == "smtp":
        router = ["driver = manualroute", "route_list = * 127.0.0.1", "self = send"]
        transport = ["driver = smtp", f"port = {plan.port}", "hosts_avoid_tls = *"]
    else:
        router = ["driver = accept"]
        transport = (
            ["driver = lmtp", f"socket = {plan.socket}"] if plan.way == "lmtp" else _piped(plan)
        )
    routed = [f"domains = {plan.domain}", "transport = mtabounce", "no_more"]
    retry = [f"{plan.domain}    *    F,1h,1m; F,5d,15m"]
    edits = [
        Edit(folder / "router" / "050_mtabounce", _driver([*router, *routed]), is_new=True),
        Edit(folder / "transport" / "50_mtabounce", _driver(transport), is_new=True),
        Edit(folder / "retry" / "20_mtabounce", retry, is_new=True),
    ]
    if plan.way == "pipe":
        edits.append(plan.script)
    return edits + _exim_refuses(plan, folder) if plan.refuses else edits


def _exim_refuses(plan: Plan, folder: Path) -> list[Edit]:
    """Return the edits by which Exim asks at RCPT, and for mails of programs in a router."""
    others = [path for path in (folder / "main").glob("*") if "mtabounce" not in path.name]
    for path in others:
        said = _DEFAULT.sub("", path.read_text(errors="replace"))
        if plan.refuses_by_word and _OWN_ACL.search(said):
            raise UsageError(f"{path} sets MAIN_ACL_CHECK_RCPT: see contrib/exim/README.md")
    where = f"{plan.lookup.path}" if plan.lookup.path else endpoint(plan.lookup)
    asks = [line.replace("WHERE", where) for line in _EXIM_ASKS]
    router = ["mtabounce_suppressed:", f"  domains = ! {plan.domain}", *_EXIM_RETURNS]
    return [
        Edit(folder / "main" / "000_mtabounce", [_EXIM_FIRST], is_new=True),
        Edit(folder / "acl" / "05_mtabounce", asks + _EXIM_REFUSES, is_new=True),
        Edit(folder / "router" / "060_mtabounce_suppressed", router, is_new=True),
    ]


def _piped(plan: Plan) -> list[str]:
    options = ["message_prefix =", "message_suffix =", "temp_errors = *", "timeout = 5m"]
    options += ["timeout_defer", "freeze_signal", "log_output"]
    return ["driver = pipe", f"command = {plan.script.path}", f"user = {plan.user}", *options]


def _driver(options: Sequence[str]) -> list[str]:
    return ["mtabounce:", *(f"  {option}" for option in options)]
