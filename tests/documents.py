"""
Blocks of code in Markdown documents, and what it takes to run them.

A block that stands after a line ``<!-- test -->`` is run by the suite, in the order of its
document, against a real ``mtabounce serve``:

* ``sh``: all of it must succeed;
* ``console``: the lines after ``$`` are run, and must print the lines below them, in which "…"
  stands for anything, a line of only "…" for any lines, and a space for any number of them;
* ``sql``: must succeed in the service's database.

Every ``toml`` block must be a configuration, marked or not; one with ``[[rule]]`` is a rule file.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
GENERATED = {"cli.md", "config.md", "metrics.md", "rules.md", "schema.md"}
_FENCED = re.compile(
    r"^(?P<mark><!-- test -->\n\s*)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S
)
_PATIENCE = 60  # seconds for one command


@dataclass(frozen=True)
class Block:
    """A block of code in a document."""

    document: str
    line: int  # of its fence
    language: str
    text: str
    is_run: bool

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def documents() -> list[Path]:
    """Return the documents that people write."""
    folders = [ROOT, ROOT / "docs", *sorted((ROOT / "contrib").glob("*/")), ROOT / "bench"]
    found = [path for folder in folders for path in sorted(folder.glob("*.md"))]
    return [path for path in found if path.name not in GENERATED]


def blocks_of(text: str, document: str = "") -> Iterator[Block]:
    """Give the blocks of code of *text* in order."""
    for found in _FENCED.finditer(text):
        line = text.count("\n", 0, found.start("language")) + 1
        marked = found["mark"] is not None
        yield Block(document, line, found["language"], found["text"], marked)


def all_blocks() -> list[Block]:
    """Return the blocks of all documents."""
    return [
        block
        for path in documents()
        for block in blocks_of(path.read_text(), str(path.relative_to(ROOT)))
    ]


def dialogue(text: str) -> Iterator[tuple[str, str]]:
    """Give each command of a console block, and what it is to print."""
    for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
        command, _, output = part.partition("\n")
        while command.endswith("\\") or command.count('"') % 2:
            line, _, output = output.partition("\n")
            command += f"\n{line}"
        yield command, output


def fits(printed: str, expected: str) -> bool:
    """Tell whether *printed* is what the document shows."""
    lines = [
        r"(?:.*\n)*" if line.strip() in ("…", "...") else f"{_pattern(line)} *\n"
        for line in expected.strip().splitlines()
    ]
    return not lines or re.fullmatch("".join(lines), printed.strip() + "\n") is not None


def _pattern(line: str) -> str:
    words = (re.escape(word).replace("…", ".*").replace(r"\.\.\.", ".*") for word in line.split())
    return r"\s*" + r"\s+".join(words)


class Shell:
    """Runs blocks in a folder of their own, where the service's ports are those of *ports*."""

    def __init__(self, folder: Path, environ: dict[str, str], ports: dict[str, int]) -> None:
        self.folder = folder
        self.environ = {**os.environ, **environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
        self.ports = ports
        # The documents call either; both are the program under test.
        for name in ("bin/mtabounce", ".venv/bin/mtabounce"):
            program = folder / name
            program.parent.mkdir(parents=True)
            program.write_text(f'#!/bin/sh\nexec {sys.executable} -m mtabounce "$@"\n')
            program.chmod(0o755)

    def run(self, block: Block) -> None:
        """Run *block*; fail where it fails, or prints something else."""
        if block.language == "console":
            for command, expected in dialogue(block.text):
                printed = self._bash(command, block)
                assert fits(printed, self._placed(expected)), f"{block}: {command}\n{printed}"
        elif block.language == "sql":
            self._bash(
                f'psql -v ON_ERROR_STOP=1 "$(mtabounce db url)" <<"SQL"\n{block.text}\nSQL', block
            )
        else:
            assert block.language == "sh", f"{block}: a {block.language} block cannot be run"
            self._bash(block.text, block)

    def _bash(self, script: str, block: Block) -> str:
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self._placed(script)],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
        )
        assert ran.returncode == 0, f"{block}: {script}\n{ran.stdout}{ran.stderr}"
        return ran.stdout

    def _placed(self, text: str) -> str:
        """Return *text* with the ports of the service under test for the well-known ones."""
        for known, port in self.ports.items():
            text = re.sub(rf"(?<=:|\s){known}\b", str(port), text)
        return text
