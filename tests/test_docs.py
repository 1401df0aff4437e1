"""The documents say what the program does, and their examples run."""

import re
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from docs.generate import DOCUMENTS, FOLDER, commands, schema_of
from mtabounce import assembly
from mtabounce.classify import load
from mtabounce.settings import load_settings
from mtabounce.store.cluster import installed_programs
from tests.documents import ROOT, Shell, all_blocks, blocks_of, dialogue, documents, fits

BLOCKS = all_blocks()
COMMANDS = {context.command_path: command for command, context in commands()}
RUN = sorted({block.document for block in BLOCKS if block.is_run})
CALL = re.compile(
    r"(?:^|[(/|;&$])[ \t]*mtabounce((?: +(?:--?[a-z-]+(?:[ =][\w./]+)?|[a-z][a-z-]+))+)", re.M
)


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if "schema" not in name])
def test_generated_document_is_current(name):
    assert (FOLDER / name).read_text() == DOCUMENTS[name](), f"{name} is stale: run `make docs`"


def test_schema_document_is_current(database_url):
    made = schema_of(database_url)

    assert (FOLDER / "schema.md").read_text() == made, "schema.md is stale: run `make docs`"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_generated_document_says_so_first(name):
    assert "`make docs`" in (FOLDER / name).read_text().splitlines()[0]


@pytest.mark.parametrize("path", COMMANDS)
def test_command_has_a_help_with_an_example_of_its_own(path):
    text = (COMMANDS[path].help or "").strip()

    assert text.split("\n")[0].endswith((".", "?"))
    if path != "mtabounce":
        examples = re.sub(r"mtabounce --config \S+", "mtabounce", text.partition("Example:")[2])
        assert path in examples, f"{path}: no example calls it"


@pytest.mark.parametrize("path", COMMANDS)
def test_option_of_command_has_a_help(path):
    silent = [
        parameter.name
        for parameter in COMMANDS[path].params
        if parameter.param_type_name == "option" and not parameter.help
    ]

    assert silent == []


@pytest.mark.parametrize("path", COMMANDS)
def test_example_of_command_calls_what_there_is(path):
    for called in called_in(COMMANDS[path].help or ""):
        assert called in COMMANDS


def called_in(text):
    """Return the paths of the commands that *text* calls, as far as they are words of paths."""
    for words in CALL.findall(text):
        path = "mtabounce"
        for word in words.split():
            if word.startswith("-"):
                break
            if path != "mtabounce" and not hasattr(COMMANDS.get(path), "commands"):
                break
            path += f" {word}"
        yield path


def test_documents_call_what_there_is():
    for block in BLOCKS:
        if block.language in ("sh", "console"):
            unknown = [called for called in called_in(block.text) if called not in COMMANDS]
            assert not unknown, block


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_of_document_lead_somewhere(path):
    links = re.findall(r"\]\(([^)#\s]+)", path.read_text())

    for link in links:
        assert "://" in link or (path.parent / link).exists(), f"{path.name}: {link}"


def test_toml_in_documents_is_a_configuration_or_a_rule_file(tmp_path):
    for block in BLOCKS:
        if block.language == "toml":
            folder = tmp_path / f"{block.document.replace('/', '-')}-{block.line}"
            folder.mkdir()
            (folder / "block.toml").write_text(block.text.replace("/etc/mtabounce", str(folder)))
            if "[[rule]]" in block.text:
                load(folder)
                continue
            for file in re.findall(r'"/etc/mtabounce/([^"]+)"', block.text):
                (folder / file).write_text("a secret")
                (folder / file).chmod(0o600)
            assembly.judging(load_settings(folder / "block.toml", {}))


@pytest.fixture(scope="module")
def shell(short_path, tmp_path_factory):
    """A running `mtabounce serve` with nothing but a state directory and free ports."""
    ports = {}
    for known in ("2525", "9000"):
        with socket.create_server(("127.0.0.1", 0)) as free:
            ports[known] = free.getsockname()[1]
    environ = {
        "MTABOUNCE_STATE__DIRECTORY": str(short_path / "documents"),
        "MTABOUNCE_RECEIVER__LISTEN": f"127.0.0.1:{ports['2525']}",
        "MTABOUNCE_HTTP__LISTEN": f"127.0.0.1:{ports['9000']}",
        "PYTHONPATH": str(ROOT),
    }
    folder = tmp_path_factory.mktemp("documents")
    shell = Shell(folder, environ, ports)
    if not shutil.which("psql"):
        (folder / "bin" / "psql").symlink_to(installed_programs() / "psql")
    command = [sys.executable, "-m", "mtabounce", "serve"]
    with subprocess.Popen(
        command, cwd=folder, env=shell.environ, stdout=subprocess.PIPE, text=True
    ) as serve:
        try:
            assert "is ready" in serve.stdout.readline()
            yield shell
        finally:
            serve.send_signal(signal.SIGTERM)
            serve.communicate(timeout=60)


@pytest.mark.parametrize("document", ["README.md", *(name for name in RUN if name != "README.md")])
def test_marked_blocks_of_document_run(document, shell):
    for block in BLOCKS:
        if block.document == document and block.is_run:
            shell.run(block)


def test_blocks_are_found_with_their_marks():
    text = "a\n```sh\nx\n```\n<!-- test -->\n\n```console\n$ y\nz\n```\n"

    plain, marked = blocks_of(text)

    assert (plain.language, plain.text, plain.is_run, plain.line) == ("sh", "x\n", False, 2)
    assert (marked.language, marked.text, marked.is_run) == ("console", "$ y\nz\n", True)


def test_console_is_read_as_commands_and_what_they_print():
    text = '$ a \\\n  b\none\ntwo\n$ psql "\n  SELECT 1"\n$ c\n'

    assert list(dialogue(text)) == [
        ("a \\\n  b", "one\ntwo\n"),
        ('psql "\n  SELECT 1"', ""),
        ("c", ""),
    ]


@pytest.mark.parametrize(
    ("printed", "expected", "does"),
    [
        ("a  b\nc\n", "a b\nc", True),
        ("a 17 b\n", "a … b", True),
        ("a\nx\ny\nb\n", "a\n…\nb", True),
        ("a\nb\n", "a\n...\nb", True),
        ("anything", "", True),
        ("a\nb\n", "a", False),
        ("a.c\n", "a?c", False),
    ],
)
def test_output_is_compared_as_people_compare_it(printed, expected, does):
    assert fits(printed, expected) is does


def test_shell_runs_blocks_against_the_service(shell):
    text = (
        "<!-- test -->\n```sh\n.venv/bin/mtabounce db url >url\n"
        "curl -sf http://127.0.0.1:9000/healthz\n```\n"
        "<!-- test -->\n```console\n$ curl -s http://127.0.0.1:9000/healthz\n… is alive\n```\n"
        "<!-- test -->\n```sql\nSELECT count(*) FROM mtabounce.bounces;\n```\n"
    )
    for block in blocks_of(text, "here"):
        shell.run(block)

    (wrong,) = blocks_of("<!-- test -->\n```sh\nfalse | cat\n```\n", "here")
    with pytest.raises(AssertionError, match="here:2: false"):
        shell.run(wrong)
