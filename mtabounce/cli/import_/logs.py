"""``mtabounce import logs``: logs that are over."""

import asyncio
import gc
import os
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.progress import Progress, TaskID

from mtabounce import assembly
from mtabounce.cli._mails import octets_of
from mtabounce.cli.import_._parts import bar, paths_argument
from mtabounce.logs import formats
from mtabounce.pipeline import sent_mail
from mtabounce.pipeline.log_record import LogRecorder
from mtabounce.settings import Settings, load_settings
from mtabounce.sources import archive
from mtabounce.sources.archive import Archive
from mtabounce.sources.log_settings import LogSettings, known_zone
from mtabounce.store.connection import connect
from mtabounce.store.embedded import database
from mtabounce.store.migrate import prepare
from mtabounce.store.unavailable import unavailable

GARBAGE = (50_000, 20, 20)  # … and lines make millions of objects, and no circles of them


@click.command()
@paths_argument
@click.option(
    "--format",
    "form",
    type=click.Choice(["auto", *formats()]),
    default="auto",
    show_default=True,
    help="Whose logs they are.",
)
@click.option("--host", default="", help="Host of lines that name none.  [default: this host]")
@click.option(
    "--timezone",
    callback=lambda _, __, name: _zone(name),
    help='Zone of times without one, such as "Europe/Berlin".',
)
@click.pass_obj
def command(
    config: Path | None, paths: tuple[Path, ...], form: str, host: str, timezone: str | None
) -> None:
    """
    Read the logs PATH, or all files of a folder: rotated ones, and compressed ones.

    Stop it with Ctrl-C and start it again: it goes on where it was. Files that serve or tail have
    read, or follow now, are left out, even under another name. Name all logs of one server
    together: a message may begin in one and fail in the next.

    Exits 65 where a file was damaged, or no line of any was understood; all that can be read is.

    \b
    Example:
      mtabounce import logs /var/log/mail.log.*
      mtabounce import logs --timezone Europe/Berlin /backup/logs
    """
    settings = load_settings(config)
    wanted = {"format": form, "host": host, "timezone": timezone, "path": Path("import")}
    log = LogSettings.model_validate(wanted)
    with database(settings.database, settings.state) as url, unavailable():
        prepare(url)
        whole = asyncio.run(_logs(settings, url, log, list(_files(paths))))
    if not whole:
        sys.exit(os.EX_DATAERR)


def _zone(name: str | None) -> str | None:
    try:
        return None if name is None else known_zone(name)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(one.absolute() for one in path.iterdir() if one.is_file())
        else:
            yield path.absolute()


async def _logs(settings: Settings, url: str, log: LogSettings, paths: list[Path]) -> bool:
    """Import *paths*; return whether all could be read, and some of it was of a log."""
    classifier = assembly.classifier(settings)
    recorder = LogRecorder(
        classifier,
        assembly.recorder(settings),
        "import",
        log.own_host,
        keeps_sent=settings.sent_mail.days > 0,
    )
    gc.freeze()  # what is loaded now stays …
    gc.set_threshold(*GARBAGE)
    with bar() as shown_bar:
        shown = _Shown(shown_bar, paths)
        reader = Archive(log, recorder, shown.tell, shown.skip, shown.fault)
        async with await connect(
            url, application_name="mtabounce import", settings=settings.database
        ) as conn:
            await sent_mail.keep_up(conn, settings.sent_mail, datetime.now(UTC))
            await reader.read(conn, paths)
    click.echo(
        f"{shown.lines} lines read, {recorder.failures} failed deliveries found,"
        f" {shown.skipped} of {len(paths)} files left out"
    )
    return not shown.faults and (reader.recognized > 0 or not shown.lines)


class _Shown:
    """What the user sees of an import."""

    def __init__(self, bar: Progress, paths: Iterable[Path]) -> None:
        self._bar = bar
        self._sizes = {path: octets_of([path]) for path in paths}
        self._over = 0  # bytes of files that are done with
        self._current: Path | None = None
        self._begun = datetime.now(UTC)
        self._task: TaskID = bar.add_task("", total=sum(self._sizes.values()), told="")
        self.lines = 0
        self.skipped = 0
        self.faults = 0

    def tell(self, now: archive.Progress) -> None:
        """Show how far the import is."""
        self._turn_to(now.path)
        self.lines = now.lines
        seconds = (datetime.now(UTC) - self._begun).total_seconds() or 1.0
        told = f"{now.lines / seconds:,.0f} lines/s, {now.bounces:,} failed"
        self._bar.update(
            self._task, completed=self._over + now.octets, description=now.path.name, told=told
        )

    def skip(self, path: Path, why: str) -> None:
        """Say why nothing of *path* is read."""
        self._turn_to(path)
        self.skipped += 1
        self._bar.console.print(f"{path}: left out: {why}", highlight=False, soft_wrap=True)

    def fault(self, path: Path, why: str) -> None:
        """Say that *path* could not be read, or not whole, and why."""
        self._turn_to(path)
        self.faults += 1
        self._bar.console.print(f"mtabounce: {path}: {why}", highlight=False, soft_wrap=True)

    def _turn_to(self, path: Path) -> None:
        if self._current is not None and self._current != path:
            self._over += self._sizes.get(self._current, 0)  # it may have been renamed
        self._current = path
