"""
Changes to a mail server's configuration that can be taken back exactly.

Each stands between two marker lines, or is a file of its own that begins with the first of them.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mtabounce.errors import UsageError

BEGIN = "# BEGIN mtabounce: mtabounce setup --undo takes this away"
END = "# END mtabounce"
_CUT = f"{BEGIN}, and the line end before it"  # where the file ended without one
_BLOCK = re.compile(
    rf"(?:\n{re.escape(_CUT)}|^{re.escape(BEGIN)})\n.*?^{END}\n", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Edit:
    """Lines to put into a file: after the line *after*, or at its end."""

    path: Path
    lines: Sequence[str]
    after: re.Pattern[str] | None = None  # with MULTILINE; None: at the end
    is_new: bool = False  # a file of its own
    mode: int = 0o644  # of a new file

    @property
    def block(self) -> str:
        """The lines between their markers."""
        return "\n".join([BEGIN, *self.lines, END, ""])

    def describe(self) -> str:
        """Return what is to be done, for people."""
        where = "a new file" if self.is_new else "at its end"
        if self.after is not None:
            where = "within the entry that is there"
        shown = "\n".join(f"    {line}" for line in self.lines)
        return f"{self.path}: {where}:\n{shown}\n"


def without(text: str) -> str:
    """Return *text* without all that was put in."""
    return _BLOCK.sub("", text)


def apply(edits: Sequence[Edit]) -> None:
    """
    Make *edits*; those made before are replaced. Raises UsageError where a file cannot be written.

    A new file that somebody else made is not touched.
    """
    texts = {edit.path: _base(edit) for edit in edits}
    for edit in edits:
        texts[edit.path] = _with(texts[edit.path], edit)
    modes = {edit.path: edit.mode for edit in edits if edit.is_new}
    for path, text in texts.items():
        _write(path, text, modes.get(path))


def undo(edits: Sequence[Edit]) -> list[Path]:
    """Take *edits* back; return the files that changed."""
    changed = []
    for path in dict.fromkeys(edit.path for edit in edits):
        text = _read(path)
        if text is None or without(text) == text:
            continue
        changed.append(path)
        if text.removeprefix("#!/bin/sh\n").startswith(BEGIN) and any(
            edit.is_new for edit in edits if edit.path == path
        ):
            path.unlink()
        else:
            _write(path, without(text), None)
    return changed


def _base(edit: Edit) -> str:
    text = _read(edit.path)
    if not edit.is_new:
        if text is None:
            raise UsageError(f"{edit.path}: there is no such file")
        return without(text)
    if text is not None and BEGIN not in text:
        raise UsageError(f"{edit.path}: is there already, and not made by mtabounce")
    return "#!/bin/sh\n" if edit.mode & 0o100 else ""


def _with(text: str, edit: Edit) -> str:
    whole = text if text.endswith("\n") or not text else f"{text}\n"
    found = list(edit.after.finditer(whole)) if edit.after else []
    place = found[-1].end() if found else len(whole)
    if place > len(text):
        return whole + edit.block.replace(BEGIN, _CUT, 1)
    return text[:place] + edit.block + text[place:]


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None


def _write(path: Path, text: str, mode: int | None) -> None:
    """Write *text* beside *path*, then put it in its place, with its mode."""
    beside = path.with_name(f".{path.name}.mtabounce")
    try:
        if mode is None:
            mode = path.stat().st_mode & 0o777
        beside.write_text(text, encoding="utf-8", errors="surrogateescape")
        beside.chmod(mode)
        if path.exists():
            os.chown(beside, path.stat().st_uid, path.stat().st_gid)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None
