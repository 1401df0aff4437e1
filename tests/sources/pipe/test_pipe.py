"""mtabounce pipe: 0 only once the mail is committed; any doubt, whatever it is, means 75."""

import asyncio
import os
import sys
import textwrap
from pathlib import Path

import pytest

from mtabounce.errors import StoreUnavailable
from mtabounce.settings import load_settings
from mtabounce.sources import handover
from mtabounce.store.connection import connect_sync
from mtabounce.store.state import StateSettings, state_directory
from tests.sources.pipe.conftest import MAIL, ended, pipe

TO = "b+ann=example.net@bounces.example.org"


@pytest.fixture
def run(daemon):
    """Run the command against the daemon's socket."""

    async def run(*words, **options):
        socket = daemon.folder / "pipe.sock"
        return await ended(pipe("--socket", socket, *words, **options))

    return run


async def test_mail_arrives_as_it_was(daemon, run):
    await daemon.start()

    status, said = await run("-f", "MAILER-DAEMON", "--", TO)

    assert (status, said) == (0, "")
    (raw,) = daemon.kept
    assert raw.content.removesuffix(b"\r\n") == MAIL
    assert (raw.source, raw.reverse_path, raw.forward_paths) == ("pipe", "", (TO,))
    assert raw.trusted


@pytest.mark.parametrize(
    ("words", "environ", "sender", "recipients"),
    [
        (["-f", "", "--", TO], {}, "", (TO,)),
        (["-f", "<>", TO], {}, "", (TO,)),
        (["--sender=ann@example.net", TO, "b@x.org"], {}, "ann@example.net", (TO, "b@x.org")),
        ([], {"SENDER": "", "RECIPIENT": TO}, "", (TO,)),
        ([], {"SENDER": "mailer-daemon", "RECIPIENT": TO}, "", (TO,)),
        (["-f", "a@b.c"], {"SENDER": "x@y.z"}, "a@b.c", ()),
        ([], {}, None, ()),
        (["--", "-x@b.c"], {}, None, ("-x@b.c",)),
        (["-f", "a b@x.example", "--", TO], {}, None, (TO,)),
        (["-f", '"a b"@x.example', "--", TO, "<a>b@c.d"], {}, None, (TO,)),
        (["-f", "a@x.example", "--", "somebody"], {}, None, ()),
    ],
)
async def test_envelope_comes_from_arguments_or_environment(
    daemon, run, words, environ, sender, recipients
):
    await daemon.start()

    status, said = await run(*words, **environ)

    assert (status, said) == (0, "")
    assert (daemon.kept[0].reverse_path, daemon.kept[0].forward_paths) == (sender, recipients)


async def test_mbox_line_of_exim_tells_the_sender(daemon, run):
    await daemon.start()
    mail = b"From MAILER-DAEMON Mon Nov 23 10:00:00 2026\n" + MAIL

    assert await run(TO, mail=mail) == (0, "")

    assert daemon.kept[0].reverse_path == ""


async def test_inbox_that_cannot_commit_means_75(daemon, run):
    await daemon.start()
    daemon.refuses = StoreUnavailable("disk full")

    status, said = await run(TO)

    assert (status, said) == (
        75,
        "mtabounce pipe: try again later: mtabounce said: 451 4.3.0 try again later\n",
    )


async def test_too_large_a_mail_is_no_matter_of_time(daemon, run):
    await daemon.start(max_size=10_000)

    status, said = await run(TO, mail=b"x" * 20_000)

    assert status == 65
    assert said == "mtabounce pipe: 552 5.3.4 message too large\n"


@pytest.mark.parametrize(
    ("words", "mail"),
    [(["--bogus"], MAIL), ([TO], b""), ([TO], None)],
    ids=["option", "empty", "eof"],
)
async def test_what_is_called_wrongly_means_75(daemon, run, words, mail):
    await daemon.start()

    status, said = await run(*words, mail=mail or b"")

    assert status == 75
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "path", ["a@b.c>\r\nRCPT TO:<evil@x.org", "a b@c.d", "\u2028@x", "a\0@b.c"]
)
async def test_envelope_cannot_say_commands(daemon, run, path):
    await daemon.start()

    status, _ = await run("-f", path.replace("\0", ""), "--", path.replace("\0", ""))

    assert (status, len(daemon.kept)) == (0, 1)
    assert all("evil@x.org" not in raw.forward_paths for raw in daemon.kept)


async def test_two_hundred_at_once_all_arrive(daemon, run):
    await daemon.start()

    async def one(number):
        return await run(TO, mail=b"Subject: %d\n\n" % number + MAIL)

    answers = await asyncio.gather(*map(one, range(200)))

    assert {status for status, _ in answers} == {0}
    assert len({raw.content.partition(b"\n")[0] for raw in daemon.kept}) == 200


async def test_daemon_that_goes_away_in_the_middle_means_75(daemon, run):
    async def hang_up(reader, writer):
        writer.write(b"220 x LMTP\r\n250 x\r\n250 ok\r\n250 ok\r\n354 go\r\n")
        await reader.readuntil(b"DATA\r\n")
        writer.close()

    server = await asyncio.start_unix_server(hang_up, daemon.folder / "pipe.sock")
    status, said = await run(TO)
    server.close()

    assert status == 75
    assert "went away" in said or "Broken pipe" in said or "reset" in said


async def test_with_the_daemon_away_it_writes_to_the_database(database_url, tmp_path):
    config = tmp_path / "mtabounce.toml"
    config.write_text(f'[database]\nurl = "{database_url}"\n[state]\ndirectory = "none"\n')

    status, said = await ended(pipe("-f", "", TO, config=config))

    assert (status, said) == (0, "")
    with connect_sync(database_url, application_name="test") as conn:
        (row,) = conn.execute("SELECT source, content, forward_paths, trusted FROM inputs")
    assert row == ("pipe", MAIL, [TO], True)


@pytest.mark.parametrize(
    "config",
    [
        "",
        '[database]\nurl = "postgresql://127.0.0.1:1/x"\n',
        "not = [toml\n",
        "[pipe]\nsokcet = 3\n",
        "pipe = 3\n",
    ],
)
async def test_with_all_away_or_wrong_it_means_75(tmp_path, config):
    path = tmp_path / "mtabounce.toml"
    path.write_text(
        f'{config}\n[state]\ndirectory = "none"\n' if config[:1] in ("[", "") else config
    )

    status, said = await ended(pipe(TO, config=path))

    assert status == 75
    assert said.startswith("mtabounce pipe: try again later: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "fault",
    [
        "raise ImportError('no module')",
        "raise MemoryError",
        "raise SystemExit(0)",
        "raise KeyboardInterrupt",
        "import os; os.close(2); raise OSError(28, 'No space left on device')",
        "this is no Python",
    ],
)
async def test_whatever_breaks_inside_means_75(tmp_path, fault):
    package = Path(sys.modules["mtabounce"].__file__).parent
    broken = tmp_path / "mtabounce"
    (broken / "sources").mkdir(parents=True)
    for name in ("__init__.py", "__main__.py", "sources/__init__.py"):
        (broken / name).write_text((package / name).read_text())
    (broken / "sources" / "handover.py").write_text(fault)

    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "mtabounce",
        "pipe",
        TO,
        cwd=tmp_path,
        env={},
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )

    assert await process.wait() == 75


async def test_fast_way_imports_nothing_large(daemon):
    await daemon.start()
    program = textwrap.dedent(
        f"""
        import sys
        from mtabounce.sources import handover
        task = handover.parse(["pipe", "--socket", {str(daemon.folder / "pipe.sock")!r}])
        assert handover.hand_over(task) == 0
        print(*sorted({{name.partition(".")[0] for name in sys.modules}}))
        """
    )

    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-S",
        "-c",
        program,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate(MAIL)

    assert process.returncode == 0
    heavy = {
        "click",
        "pydantic",
        "psycopg",
        "asyncio",
        "re",
        "json",
        "socket",
        "logging",
        "pathlib",
    }
    assert heavy.isdisjoint(said.decode().split())


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ("", {}),
        ('[state]\ndirectory = "state"\n', {}),
        ('[pipe]\nsocket = "/run/mtabounce/pipe"\n', {}),
        ('[pipe]\nsocket = "run/pipe"\n', {}),
        ("", {"MTABOUNCE_STATE__DIRECTORY": "/srv/state"}),
        ("", {"MTABOUNCE_PIPE__SOCKET": "/run/x"}),
        ("", {"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}),
    ],
)
def test_it_looks_for_the_socket_where_the_daemon_puts_it(tmp_path, monkeypatch, text, environ):
    path = tmp_path / "mtabounce.toml"
    path.write_text(text)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    settings = load_settings(path)
    task = handover.Task()
    task.config = str(path)

    expected = settings.pipe.socket or state_directory(settings.state) / handover.NAME

    assert handover.find_socket(task) == str(expected)


def test_user_of_the_service_finds_its_state_without_being_told(tmp_path, monkeypatch):
    for place, kind in (("mtabounce.store.state", Path), ("mtabounce.sources.handover", str)):
        monkeypatch.setattr(f"{place}.SYSTEM_DIRECTORY", kind(tmp_path))
    owner, stranger = tmp_path.stat().st_uid or 4711, 4712
    os.chown(tmp_path, owner, -1)

    found = {}
    for user in (owner, stranger):
        monkeypatch.setattr("os.geteuid", lambda user=user: user)
        found[user] = (str(state_directory(StateSettings())), handover.default_directory())

    assert found[owner] == (str(tmp_path), str(tmp_path))
    assert found[stranger][0] == found[stranger][1] != str(tmp_path)


async def test_socket_that_was_asked_for_and_cannot_be_had_stops_the_start(daemon, tmp_path):
    from mtabounce.errors import ConfigError

    with pytest.raises(ConfigError, match="folder that does not exist"):
        await daemon.start(socket=Path("/nonexistent/pipe"))


async def test_state_directory_that_cannot_be_written_is_only_warned_of(daemon, caplog):
    daemon.folder = Path("/proc/none")

    await daemon.start(socket=None)

    assert "mtabounce pipe will be slow" in caplog.text
