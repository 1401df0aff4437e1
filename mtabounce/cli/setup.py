"""``mtabounce setup``: what has to be changed in Postfix or Exim, and the changing of it."""

import pwd
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from mtabounce.cli._edits import Edit, apply, undo, without
from mtabounce.config import ListenAddress
from mtabounce.errors import UsageError
from mtabounce.settings import Settings, load_settings

_FOLDER = click.Path(path_type=Path, file_okay=False, exists=True)
_WAYS = click.Choice(["smtp", "lmtp", "pipe"])
_OPEN = "timeout=3s, try_limit=1, default_action=DUNNO"  # where nobody answers, mail goes on
_RESTRICTIONS = [
    f"smtpd_{stage}_restrictions" for stage in ("recipient", "sender", "helo", "client")
]
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


@click.group()
def command() -> None:
    """
    Let Postfix or Exim hand bounces to mtabounce.

    Without --apply the changes are only shown.

    \b
    Example:
      mtabounce setup postfix --domain bounces.example.org
    """


def _options(folder: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        options: list[Callable[[Callable[..., None]], Callable[..., None]]] = [
            click.option("--domain", help="Domain of the return paths.  [default: as configured]"),
            click.option("--way", type=_WAYS, default="smtp", show_default=True, help="How."),
            click.option("--user", default="mtabounce", show_default=True, help="Of the command."),
            click.option(
                "--config-dir", type=_FOLDER, default=folder, show_default=True, help="Where it is."
            ),
            click.option(
                "--suppressed", is_flag=True, help="Let it refuse whom mtabounce suppresses, too."
            ),
            click.option("--apply", "does_apply", is_flag=True, help="Make the changes."),
            click.option("--undo", "does_undo", is_flag=True, help="Take them back."),
            click.pass_obj,
        ]
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


@command.command()
@_options("/etc/postfix")
def postfix(config: Path | None, **words: object) -> None:
    """
    Show the changes to Postfix, make them, or take them back.

    \b
    Example:
      mtabounce setup postfix --domain bounces.example.org --suppressed --apply
      mtabounce setup postfix --domain bounces.example.org --undo
    """
    plan = _Plan(config, words)
    plan.carry_out(_postfix(plan), "postfix check && postfix reload")


@command.command()
@_options("/etc/exim4")
def exim(config: Path | None, **words: object) -> None:
    """
    Show the changes to Exim in Debian's split configuration, make them, or take them back.

    The domain has to be one that Exim takes mail for: see dc_relay_domains.

    \b
    Example:
      mtabounce setup exim --domain bounces.example.org --way lmtp
    """
    plan = _Plan(config, words)
    plan.carry_out(_exim(plan), "update-exim4.conf && systemctl reload exim4")


class _Plan:
    """What the command line and the configuration ask for."""

    def __init__(self, config: Path | None, words: dict[str, object]) -> None:
        self.settings = load_settings(config)
        self.config = config
        self.folder = Path(str(words["config_dir"])).absolute()
        self.way = str(words["way"])
        self.user = str(words["user"])
        self.domain = str(words["domain"] or _domain(self.settings))
        self.refuses_by_word = bool(words["suppressed"]) and not words["does_undo"]
        self.refuses = self.refuses_by_word or bool(words["does_undo"])
        self._does_apply, self._does_undo = bool(words["does_apply"]), bool(words["does_undo"])
        if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", self.domain):
            raise UsageError("say which domain: --domain bounces.example.org")
        if not re.fullmatch(r"[a-z_][a-z0-9_-]*", self.user, re.IGNORECASE):
            raise UsageError(f"{self.user!r} is no name of a user")

    def carry_out(self, edits: Sequence[Edit], then: str) -> None:
        if self._does_apply and self._does_undo:
            raise UsageError("choose one of --apply and --undo")
        if self._does_undo:
            for path in undo([*edits, self.script]):
                click.echo(f"{path}: as it was")
        elif self._does_apply:
            self._apply(edits)
        else:
            for edit in edits:
                click.echo(edit.describe())
            click.echo("Nothing was changed; --apply does.")
            return
        click.echo(f"Now: {then}")

    def _apply(self, edits: Sequence[Edit]) -> None:
        apply(edits)
        for path in dict.fromkeys(edit.path for edit in edits):
            click.echo(f"{path}: changed")
        if self.way != "pipe":
            for path in undo([self.script]):
                click.echo(f"{path}: taken away")
        elif not _is_user(self.user):
            click.echo(f"There is no user {self.user} here: make one first, or say another: --user")

    @property
    def program(self) -> str:
        """The command line that takes a bounce."""
        words = [sys.argv[0]] if Path(sys.argv[0]).name == "mtabounce" else _as_module()
        named = ["--config", str(self.config.absolute())] if self.config else []
        return shlex.join([*words, *named, "pipe"])

    @property
    def script(self) -> Edit:
        """The command, in a shell that says "try again" for it where it cannot, or is killed."""
        lines = [
            f'{self.program} "$@"',
            "case $? in 0) exit 0 ;; 65) exit 65 ;; *) exit 75 ;; esac",
        ]
        return Edit(self.folder / "mtabounce-pipe", lines, is_new=True, mode=0o755)

    @property
    def port(self) -> int:
        """Where mtabounce takes mail."""
        ports = [one.port for one in self.settings.receiver.listen if one.path is None]
        if not ports:
            raise UsageError("[receiver] listen names no port: choose --way lmtp or pipe")
        return ports[0]

    @property
    def lookup(self) -> ListenAddress:
        """Where mtabounce says whom to refuse."""
        if self.settings.lookup.listen:
            return self.settings.lookup.listen[0]
        if self._does_undo:
            return ListenAddress("127.0.0.1", 2527)  # what was written there goes anyway
        raise UsageError('[lookup] listen names no address: set it, as ["127.0.0.1:2527"]')

    @property
    def socket(self) -> Path:
        """Where mtabounce takes mail by LMTP."""
        paths = [one.path for one in self.settings.receiver.lmtp_listen if one.path is not None]
        if not paths:
            raise UsageError(
                "[receiver] lmtp_listen names no socket: set it, as /run/mtabounce/lmtp"
            )
        return paths[0]


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _as_module() -> list[str]:
    return [sys.executable, "-m", "mtabounce"]


def _domain(settings: Settings) -> str:
    paths = settings.receiver.return_paths
    return settings.return_path.domain or (paths[0].rpartition("@")[2] if paths else "")


def _postfix(plan: _Plan) -> list[Edit]:
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


def _postfix_refuses(plan: _Plan, main: Path) -> list[Edit]:
    """
    Return the edit by which Postfix asks, before anything permits.

    Postfix goes through each of these lists for each RCPT (smtpd_delay_reject), so that the first
    which main.cf does not set will do.
    """
    known = without(main.read_text(errors="replace")) if main.exists() else ""
    free = [
        name for name in _RESTRICTIONS if not re.search(rf"^{name}[ \t]*=", known, re.MULTILINE)
    ]
    asks = f"check_policy_service {{ {_endpoint(plan.lookup)}, {_OPEN} }}"
    if not free and plan.refuses_by_word:
        raise UsageError(f"{main}: put this first in smtpd_recipient_restrictions: {asks}")
    return [Edit(main, [f"{free[0]} =", f"    {asks}"])] if free else []


def _endpoint(address: ListenAddress) -> str:
    return f"unix:{address.path}" if address.path else f"inet:{address.host}:{address.port}"


def _added(main: Path, name: str, value: str) -> Edit:
    """Return the edit that adds *value* to the list *name*, whether main.cf has it or not."""
    entry = re.compile(rf"^{name}[ \t]*=.*\n(?:[ \t]+\S.*\n)*", re.MULTILINE)
    if main.exists() and entry.search(without(main.read_text(errors="replace"))):
        return Edit(main, [f"    {value}"], after=entry)
    return Edit(main, [f"{name} = {value}"])


def _exim(plan: _Plan) -> list[Edit]:
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


def _exim_refuses(plan: _Plan, folder: Path) -> list[Edit]:
    """Return the edits by which Exim asks at RCPT, and for mails of programs in a router."""
    others = [path for path in (folder / "main").glob("*") if "mtabounce" not in path.name]
    for path in others:
        said = _DEFAULT.sub("", path.read_text(errors="replace"))
        if plan.refuses_by_word and _OWN_ACL.search(said):
            raise UsageError(f"{path} sets MAIN_ACL_CHECK_RCPT: see contrib/exim/README.md")
    where = f"{plan.lookup.path}" if plan.lookup.path else _endpoint(plan.lookup)
    asks = [line.replace("WHERE", where) for line in _EXIM_ASKS]
    router = ["mtabounce_suppressed:", f"  domains = ! {plan.domain}", *_EXIM_RETURNS]
    return [
        Edit(folder / "main" / "000_mtabounce", [_EXIM_FIRST], is_new=True),
        Edit(folder / "acl" / "05_mtabounce", asks + _EXIM_REFUSES, is_new=True),
        Edit(folder / "router" / "060_mtabounce_suppressed", router, is_new=True),
    ]


def _piped(plan: _Plan) -> list[str]:
    options = ["message_prefix =", "message_suffix =", "temp_errors = *", "timeout = 5m"]
    options += ["timeout_defer", "freeze_signal", "log_output"]
    return ["driver = pipe", f"command = {plan.script.path}", f"user = {plan.user}", *options]


def _driver(options: Sequence[str]) -> list[str]:
    return ["mtabounce:", *(f"  {option}" for option in options)]
