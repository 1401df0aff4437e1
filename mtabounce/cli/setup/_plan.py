"""What ``setup`` was asked for, and the changing of files that all mail servers share."""

import pwd
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from mtabounce.cli._options import Command, with_options
from mtabounce.cli.setup._edits import Edit, apply, undo
from mtabounce.config import ListenAddress
from mtabounce.errors import UsageError
from mtabounce.settings import Settings, load_settings

_FOLDER = click.Path(path_type=Path, file_okay=False, exists=True)
_WAYS = click.Choice(["smtp", "lmtp", "pipe"])


def options(folder: str) -> Callable[[Command], Command]:
    """Give a command the options of all mail servers; *folder* is where its configuration is."""
    return with_options(
        click.option("--domain", help="Domain of the return paths.  [default: as configured]"),
        click.option(
            "--way", type=_WAYS, default="smtp", show_default=True, help="How it hands over."
        ),
        click.option(
            "--user", default="mtabounce", show_default=True, help="Who runs the command of a pipe."
        ),
        click.option(
            "--config-dir",
            type=_FOLDER,
            default=folder,
            show_default=True,
            help="The folder of its configuration.",
        ),
        click.option(
            "--suppressed", is_flag=True, help="Let it also refuse whom mtabounce suppresses."
        ),
        click.option("--apply", "does_apply", is_flag=True, help="Make the changes."),
        click.option("--undo", "does_undo", is_flag=True, help="Take them back."),
        click.pass_obj,
    )


class Plan:
    """
    What the command line and the configuration ask for.

    To make one raises UsageError where the domain or the user can be none.
    """

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
        """Show *edits*, make them or take them back, as was asked; *then* is what is to be run."""
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
            click.echo("Nothing was changed; --apply makes the changes.")
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
            click.echo(f"There is no user {self.user} here: make one, or name another with --user")

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


def endpoint(address: ListenAddress) -> str:
    """Return *address* as Postfix and Exim write a socket: inet:HOST:PORT, or unix:PATH."""
    return f"unix:{address.path}" if address.path else f"inet:{address.host}:{address.port}"
