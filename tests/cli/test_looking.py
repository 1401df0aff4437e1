"""bounces, inputs, why, reprocess: what an operator sees."""

import json
import signal

import pytest

from mtabounce.cli import main
from mtabounce.errors import ConfigError, UsageError

from .conftest import MAILS, dsn

GARGLE = """\
[[rule]]
id = "gargle"
reason = "system_error"
text = "gargle"
match = ["599 gargle"]
"""


def lines(result):
    assert result.exception is None, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ([], ["ann", "bob", "cid"]),
        (["--recipient", "ANN@Example.Org"], ["ann"]),
        (["--domain", "Example.NET"], ["bob", "cid"]),
        (["--type", "hard"], ["ann"]),
        (["--reason", "mailbox_full"], ["bob"]),
        (["--campaign", "spring"], ["ann", "bob"]),
        (["--since", "1h"], ["ann", "bob", "cid"]),
        (["--since", "2126-01-01"], []),
        (["--recipient", "nobody@example.org"], []),
    ],
)
def test_bounces_are_found_by_what_they_are(cli, filters, names):
    found = lines(cli("bounces", "list", "--json", *filters))

    assert sorted(bounce["recipient"].partition("@")[0] for bounce in found) == names


def test_limit_keeps_the_latest(cli):
    (latest,) = lines(cli("bounces", "list", "--json", "--limit", "1"))

    assert latest["recipient"] == "cid@example.net"


def test_table_names_the_recipient_and_the_reason(cli):
    output = cli("bounces", "list").output

    assert "ann@example.org" in output
    assert "user_unknown" in output


def test_story_of_a_bounce_has_its_evidence_and_rule(cli):
    (bounce,) = lines(cli("bounces", "list", "--json", "--type", "hard"))

    (story,) = lines(cli("bounces", "show", "--json", str(bounce["id"])))
    output = cli("bounces", "show", str(bounce["id"])).output

    assert story["evidence"][0]["rule"] == bounce["rule"]
    assert f"rule {bounce['rule']} says user_unknown" in output
    assert "550 5.1.1 no such user" in output


def test_mail_of_a_bounce_comes_back_as_received(cli):
    (bounce,) = lines(cli("bounces", "list", "--json", "--type", "hard"))

    assert cli("bounces", "show", "--raw", str(bounce["id"])).stdout_bytes == dsn(MAILS[0])


@pytest.mark.parametrize(
    "command", ["bounces show 999", "inputs show 999", "why 999", "why x@y.example"]
)
def test_what_is_not_there_is_said_in_one_line(cli, command):
    error = cli(*command.split()).exception

    assert isinstance(error, UsageError)
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["bounces", "list", "--reason", "user_unkown"],
            "there is no reason 'user_unkown'; did you mean 'user_unknown'?",
        ),
        (
            ["why", "Ann <ann@example.org>"],
            "nothing was ever reported about ann <ann@example.org>, which is no address",
        ),
    ],
)
def test_slip_of_the_pen_is_said(cli, words, said):
    assert str(cli(*words).exception) == said


def test_inputs_are_found_by_state_and_outcome(cli):
    (one,) = lines(cli("inputs", "list", "--json", "--outcome", "unrecognized"))

    assert one["state"] == "done"
    assert lines(cli("inputs", "list", "--json", "--state", "failed")) == []


def test_input_shows_what_it_said(cli):
    (first,) = [one for one in lines(cli("inputs", "list", "--json")) if one["id"] == 1]

    (shown,) = lines(cli("inputs", "show", "--json", "1"))

    assert shown["size"] == first["size"] == len(dsn(MAILS[0]))
    assert [said["final_recipient"] for said in shown["said"]] == ["ann@example.org"]
    assert "ann@example.org: bounce, user_unknown" in cli("inputs", "show", "1").output


def test_clusters_show_what_no_rule_and_no_parser_knows(cli):
    found = lines(cli("inputs", "cluster", "--json"))

    kinds = {one["kind"]: one["masked"] for one in found}
    assert "gargle" in kinds["undetermined"]
    assert kinds["unrecognized"].startswith("lunch <number>")


def test_why_tells_the_rule_behind_a_bounce(cli):
    (bounce,) = lines(cli("bounces", "list", "--json", "--type", "hard"))

    (told,) = lines(cli("why", "--json", str(bounce["id"])))

    assert told["rules"][bounce["rule"]]["says"] == "user_unknown"
    assert "Rule " in cli("why", str(bounce["id"])).output


def test_why_tells_the_story_of_an_address(cli):
    (told,) = lines(cli("why", "--json", "Bob@example.net"))

    assert (told["hard"], told["soft"]) == (0, 1)
    assert [episode["reason"] for episode in told["story"]] == ["mailbox_full"]
    assert "0 hard, 1 soft" in cli("why", "bob@example.net").output


@pytest.fixture
def gargle_rule(tmp_path):
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "own.toml").write_text(GARGLE)
    with (tmp_path / "mtabounce.toml").open("a") as config:
        config.write(f'[rules]\nfolder = "{folder}"\n')


def test_dry_run_changes_nothing(cli, gargle_rule):
    (difference,) = lines(cli("reprocess", "--since", "1h", "--dry-run", "--json"))

    assert (difference["recipient"], difference["rule"]) == ("cid@example.net", "gargle")
    assert lines(cli("bounces", "list", "--json", "--reason", "system_error")) == []


def test_reprocess_asks_before_it_changes(cli, gargle_rule):
    asked = cli("reprocess", "--since", "1h")
    assert isinstance(asked.exception, UsageError)
    assert lines(cli("bounces", "list", "--json", "--reason", "system_error")) == []

    cli("reprocess", "--since", "1h", "--yes")
    assert len(lines(cli("bounces", "list", "--json", "--reason", "system_error"))) == 1


def test_interrupted_reprocess_says_so_once_and_where_to_go_on(
    cli, gargle_rule, tmp_path, monkeypatch, capsys
):
    def interrupt(tally, one):
        tally.kinds[one.was, one.now] += 1
        if not tally.as_json:  # while it changes, not while it looks
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("mtabounce.cli.reprocess._Tally.add", interrupt)
    words = ["--config", str(tmp_path / "mtabounce.toml"), "reprocess", "--since", "1h", "--yes"]
    monkeypatch.setattr("sys.argv", ["mtabounce", *words, "--json"])

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a worker of xdist has none
    try:
        with pytest.raises(SystemExit) as left:
            main()
    finally:
        signal.signal(signal.SIGINT, before)

    said = capsys.readouterr().err
    assert left.value.code == 130
    assert said.count("interrupted") == 1
    assert "go on with --after" in said


def test_nothing_to_change_is_said(cli):
    assert cli("reprocess", "--since", "1h").output == "Nothing changes.\n"


def test_reprocess_wants_to_know_what(cli):
    assert isinstance(cli("reprocess").exception, UsageError)


@pytest.mark.parametrize("when", ["yesterday", "7x", "", "d"])
def test_time_that_is_none_is_refused_with_an_example(cli, when):
    result = cli("bounces", "list", "--since", when)

    assert result.exit_code == 2
    assert "write 7d" in result.output


@pytest.mark.parametrize("number", ["999", "99999999999999999999"])
def test_input_that_is_not_there_is_not_reprocessed(cli, number):
    result = cli("reprocess", "1", number)

    assert isinstance(result.exception, UsageError)
    assert str(result.exception) == f"there is no input {number}"


@pytest.mark.parametrize("when", ["yesterday", "d", "99999999999d", "2026-13-01"])
def test_time_that_is_none_is_refused(cli, when):
    result = cli("bounces", "list", "--since", when)

    assert result.exit_code != 0
    assert "is no time: write 7d" in result.output


def test_user_that_may_only_read_is_told_so_in_a_line(cli, database_url, monkeypatch, administer):
    administer.execute("CREATE ROLE reporter LOGIN IN ROLE mtabounce_read")
    monkeypatch.setenv("MTABOUNCE_DATABASE__URL", database_url.replace("mtabounce@", "reporter@"))
    try:
        shown, refused = cli("bounces", "list"), cli("suppressions", "add", "ann@example.org")
    finally:
        administer.execute("DROP ROLE reporter")

    assert "ann@example.org" in shown.stdout
    assert isinstance(refused.exception, ConfigError)
    assert "refuses this user (permission denied for " in str(refused.exception)
