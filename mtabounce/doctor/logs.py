"""The logs are there, may be read, are understood, and are read as they grow."""

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mtabounce.doctor._check import READERS, Check, Finding, Level, Patient
from mtabounce.sources.log_settings import LogSettings
from mtabounce.sources.logfile import open_file
from mtabounce.sources.rotation import siblings, unopened
from mtabounce.store.logs import LogFile, log_files_sync

_TITLE = "logs"
_FEW = 1000  # lines: of so many one at least must be understood
_LONGEST = 64 * 1024  # bytes of a line
_LATE = timedelta(minutes=5)  # a log that grows is read sooner


def _run(patient: Patient) -> Iterator[Finding]:
    logs = patient.given().log
    if not logs:
        yield Finding(_TITLE, Level.OK, "no log is followed")
        return
    known = patient.ask(log_files_sync) or []
    for log in logs:
        yield from _of(log, [file for file in known if file.name == log.name])


def _of(log: LogSettings, files: Sequence[LogFile]) -> Iterator[Finding]:
    trouble = None if log.is_journal else _unreadable(log.path, was_read=bool(files))
    if trouble is not None:
        yield trouble
        return
    if not files:
        yield Finding(
            _TITLE,
            Level.WARN,
            f"{log.path} was never read",
            "is mtabounce serve (or mtabounce tail) running on this host, and was it restarted"
            " since [[log]] names this?",
        )
        return
    if files[-1].trouble:
        yield Finding(
            _TITLE,
            Level.FAIL,
            f"{log.path}: {files[-1].trouble}",
            "mtabounce logs parse shows what it reads; please report what mtabounce cannot read",
        )
    else:
        yield _understood(log, files)
    if not log.is_journal:
        yield from _unopened(log, files)
        yield from _late(log, files[-1])


def _unreadable(path: Path, *, was_read: bool) -> Finding | None:
    try:
        with open_file(path) as file:
            file.read(1)
    except FileNotFoundError:
        if was_read and siblings(path):  # many a logrotate leaves it to the next line to make it
            return Finding(_TITLE, Level.OK, f"{path} was rotated, and nothing is logged since")
        return Finding(_TITLE, Level.FAIL, f"{path} is not there", "see path in [[log]]")
    except PermissionError:
        return Finding(_TITLE, Level.FAIL, f"{path} may not be read", READERS)
    except OSError as error:
        return Finding(_TITLE, Level.FAIL, f"{path}: {error.strerror}")
    return None


def _unopened(log: LogSettings, files: Sequence[LogFile]) -> Iterator[Finding]:
    places = siblings(log.path)
    for file in files:
        refused = None if file.finished else unopened(file, places)
        if refused is not None:
            place, error = refused
            text = f"{place}: {error.strerror}: what it holds is missing"
            yield Finding(_TITLE, Level.FAIL, text, READERS)


def _understood(log: LogSettings, files: Sequence[LogFile]) -> Finding:
    lines, recognized, deliveries, unreadable = (
        sum(getattr(file, name) for file in _newest(files))
        for name in ("lines", "recognized", "deliveries", "unreadable")
    )
    text = f"{log.path}: {lines} lines, {recognized} about messages, {deliveries} deliveries"
    if lines >= _FEW and not deliveries:
        return Finding(
            _TITLE, Level.FAIL, text, "is it the log of Postfix or Exim? mtabounce logs parse it"
        )
    if unreadable:
        return Finding(
            _TITLE,
            Level.FAIL if unreadable * 2 > deliveries else Level.WARN,
            f"{text}, {unreadable} not understood",
            "please report such a line: mtabounce logs parse counts them",
        )
    return Finding(_TITLE, Level.OK, text)


def _newest(files: Sequence[LogFile]) -> list[LogFile]:
    """Return the newest of *files* that have enough lines to say something of the log as it is."""
    found: list[LogFile] = []
    for file in reversed(files):
        found.append(file)
        if sum(one.lines for one in found) >= _FEW:
            break
    return found


def _late(log: LogSettings, newest: LogFile) -> Iterator[Finding]:
    with open_file(log.path) as file:
        seen = os.fstat(file.fileno())
        is_known = (seen.st_dev, seen.st_ino) == (newest.device, newest.inode)
        position = newest.position if is_known else 0
        ahead = os.pread(file.fileno(), _LONGEST, position)
    behind = seen.st_size - position
    waits = b"\n" in ahead or len(ahead) == _LONGEST  # the last line may lack its end for now
    read_at = newest.updated_at or datetime.fromtimestamp(0, tz=UTC)
    written_at = datetime.fromtimestamp(seen.st_mtime, tz=UTC)
    now = max(datetime.now(UTC), written_at)
    if (
        waits
        and now - read_at > _LATE
        and (written_at - read_at > _LATE or now - written_at > _LATE)
    ):
        yield Finding(
            _TITLE,
            Level.FAIL,
            f"{log.path}: {behind} bytes wait; it was last read at {read_at:%Y-%m-%d %H:%M} UTC",
            "is mtabounce serve (or mtabounce tail) running on this host?",
        )


CHECK = Check(title=_TITLE, rank=55, run=_run)
