"""suppressions: list, add, remove, check, import, export, undo; and what why says of them."""

import csv
import io
import json

import psycopg
import pytest

from mtabounce.errors import InputRejected, UsageError

from .test_looking import lines


def listed(cli):
    return {one["recipient"]: one for one in lines(cli("suppressions", "list", "--json"))}


@pytest.fixture
def trusting(tmp_path, cli):
    """The same, where claims count: the samples come from no server of ours."""
    with (tmp_path / "mtabounce.toml").open("a") as config:
        config.write('[policy]\nmin_trust = "claimed"\n')
    return cli


@pytest.fixture
def suppressed(trusting):
    """A database in which ann is suppressed by her bounce."""
    assert trusting("reprocess", "--since", "1h").output == "Nothing changes.\n"
    trusting("suppressions", "add", "dan@example.org", "--why", "asked by phone")
    trusting("suppressions", "remove", "dan@example.org")
    trusting("suppressions", "add", "ann@example.org")
    trusting("suppressions", "undo", "--cause", "manual", "--yes")
    assert set(listed(trusting)) == {"ann@example.org"}
    return trusting


def test_added_address_is_suppressed_with_the_words_and_name_of_who_said_so(cli, monkeypatch):
    monkeypatch.setenv("SUDO_USER", "olga")
    cli("suppressions", "add", "Dan@Example.org", "--why", "asked by phone")

    one = listed(cli)["dan@example.org"]
    (told,) = lines(cli("why", "--json", "dan@example.org"))
    assert (one["cause"], one["reason"], one["until"]) == ("manual", "asked by phone", None)
    assert [(word["actor"], word["action"]) for word in told["decisions"]][-1] == ("olga", "add")


def test_check_exits_by_what_it_finds(cli):
    cli("suppressions", "add", "dan@example.org", "--for", "30d")

    found = cli("suppressions", "check", "DAN@example.org", "eva@example.org")
    assert found.exit_code == 1
    assert "dan@example.org: suppressed since" in found.output
    assert "eva@example.org: not suppressed" in found.output
    assert cli("suppressions", "check", "eva@example.org").exit_code == 0


def test_removed_address_is_mailed_again(cli):
    cli("suppressions", "add", "dan@example.org")

    assert cli("suppressions", "remove", "dan@example.org").stdout == "1 removed.\n"
    assert listed(cli) == {}


def test_address_that_is_not_suppressed_is_said_to_be_not(cli):
    result = cli("suppressions", "remove", "eva@example.org")

    assert result.stdout == "0 removed.\n"
    assert "eva@example.org is not suppressed" in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["add", "no address"],
        ["check", "a@b@c"],
        ["add", "a@exa\u200dmple.org"],
        ["undo"],
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(cli, words):
    error = cli("suppressions", *words).exception

    assert isinstance(error, UsageError)
    assert "\n" not in str(error)
    assert all(repr(address) in str(error) for address in words[1:])


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--scope", "everything", "'everything' is no scope: write all, list:ID or campaign:NAME"),
        ("--scope", "list:", "'list:' is no scope"),
        ("--for", "0s", "must be longer than 0s"),  # it was "for good"
    ],
)
def test_what_an_option_cannot_be_is_said(cli, option, value, why):
    refused = cli("suppressions", "add", "a@example.org", option, value)

    assert refused.exit_code
    assert why in refused.stderr
    assert listed(cli) == {}


def test_suppression_for_a_list_does_not_hold_elsewhere(cli, database_url):
    cli("suppressions", "add", "dan@example.org", "--scope", "list:news")

    with psycopg.connect(database_url) as conn:
        query = (
            "SELECT mtabounce.is_suppressed('dan@example.org'),"
            " mtabounce.is_suppressed('dan@example.org', 'list:news')"
        )
        assert conn.execute(query).fetchone() == (False, True)


def test_list_is_the_same_in_whatever_case_its_name_is_written(cli, database_url, file):
    cli("suppressions", "add", "dan@example.org", "--scope", "list:News.Example.org")
    cli("suppressions", "import", file(b"email,scope\neva@example.org,list:NEWS.example.org\n"))

    shown = lines(cli("suppressions", "list", "--scope", "list:NEWS.example.org", "--json"))
    assert {one["scope"] for one in shown} == {"list:news.example.org"}
    both = ["dan@example.org", "eva@example.org"]
    with psycopg.connect(database_url) as conn:
        query = (
            "SELECT array_agg(email), bool_and(is_suppressed(email, 'list:News.Example.org'))"
            " FROM check_recipients(%s, 'list:News.Example.org')"
        )
        assert conn.execute(query, [both]).fetchone() == (both, True)


def test_bounce_suppresses_by_the_settings_of_today(suppressed):
    one = listed(suppressed)["ann@example.org"]

    assert (one["cause"], one["reason"]) == ("hard", "user_unknown")


def test_undo_by_rule_forgives_the_bounces_of_that_rule(suppressed):
    (bounce,) = lines(suppressed("bounces", "list", "--json", "--type", "hard"))

    nothing = suppressed("suppressions", "undo", "--rule", "no-such-rule", "--yes")
    asked = suppressed("suppressions", "undo", "--rule", bounce["rule"])
    assert nothing.output.startswith("No suppression fits.\n")
    assert isinstance(asked.exception, UsageError)
    assert listed(suppressed)

    done = suppressed("suppressions", "undo", "--rule", bounce["rule"], "--yes")
    assert "1 undone; 0 stay" in done.output
    assert listed(suppressed) == {}
    assert "an operator forgave it" in suppressed("why", "ann@example.org").output


@pytest.mark.parametrize(
    ("when", "left"),
    [
        (["--since", "1h"], 0),
        (["--until", "1h"], 1),
        (["--since", "2h", "--until", "1h"], 1),
        (["--cause", "soft"], 1),
        (["--cause", "hard", "--since", "1h"], 0),
    ],
)
def test_undo_by_time_and_cause_takes_what_fits_all(suppressed, when, left):
    suppressed("suppressions", "undo", *when, "--yes")

    assert len(listed(suppressed)) == left


def test_undo_by_a_misspelt_rule_says_which_was_meant(suppressed):
    said = suppressed("suppressions", "undo", "--rule", "exim-unroutable", "--dry-run").output

    assert said == (
        "No suppression fits.\nThere is no rule exim-unroutable; did you mean 'exim-unrouteable'?\n"
    )


def test_undo_by_time_leaves_what_was_added_by_hand(cli):
    cli("suppressions", "add", "dan@example.org")

    assert cli("suppressions", "undo", "--since", "1h", "--yes").output == "No suppression fits.\n"
    assert "1 undone" in cli("suppressions", "undo", "dan@example.org", "--yes").output


def test_undo_forgives_a_bounce_by_the_time_of_its_suppression(suppressed, database_url):
    """Evidence may say later than the first that a mail failed."""
    with psycopg.connect(database_url) as conn:
        conn.execute("UPDATE mtabounce.bounces SET first_seen_at = first_seen_at - interval '2 h'")

    suppressed("suppressions", "undo", "--since", "1h", "--yes")

    with psycopg.connect(database_url) as conn:
        (number,) = conn.execute("SELECT id FROM bounces WHERE recipient ~ '^ann@'").fetchone()
        (word,) = conn.execute(
            "SELECT bounces FROM decisions WHERE action = 'remove' ORDER BY id DESC LIMIT 1"
        ).fetchone()
    assert word == [number]


def test_undo_by_time_leaves_who_complained(suppressed, database_url):
    with psycopg.connect(database_url) as conn:
        conn.execute("UPDATE mtabounce.suppressions SET type = 'complaint', cause = 'complaint'")

    nothing = suppressed("suppressions", "undo", "--since", "1h", "--yes")
    shown = suppressed("suppressions", "undo", "--cause", "complaint", "--dry-run")

    assert nothing.output == "No suppression fits.\n"
    assert "ann@example.org" in shown.output


def test_dry_run_of_undo_changes_nothing(suppressed):
    assert (
        "ann@example.org" in suppressed("suppressions", "undo", "--since", "1h", "--dry-run").output
    )
    assert listed(suppressed)


def test_why_tells_since_when_and_why_an_address_is_suppressed(suppressed):
    output = suppressed("why", "ann@example.org").output

    assert "Suppressed:" in output
    assert "hard: 1 of 1 messages, the last for user_unknown: for good" in output


def test_why_knows_an_address_of_which_only_an_operator_spoke(cli):
    cli("suppressions", "add", "dan@example.org")

    assert "an operator added it" in cli("why", "dan@example.org").output


EVA = {"eva@example.org"}
NAMES = "write one address a line, or begin with a line of names, as email,reason"
LIST = b"""\xef\xbb\xbf# from the old system
eva@example.org

not an address
Fay@Example.org\r
"open@example.org
\xff@example.org\x00
"""


@pytest.fixture
def file(tmp_path):
    def write(content):
        path = tmp_path / "list.txt"
        path.write_bytes(content)
        return str(path)

    return write


def test_import_names_broken_lines_and_takes_the_rest(cli, file):
    result = cli("suppressions", "import", file(LIST))

    assert [line.partition(":")[0] for line in result.stderr.splitlines()] == ["line 4", "line 7"]
    assert set(listed(cli)) == {"eva@example.org", "fay@example.org", "open@example.org"}
    assert result.stdout == "3 suppressed, 0 were already, 2 lines are broken.\n"


@pytest.mark.parametrize(
    ("content", "said", "taken"),
    [
        (
            "email\neva@example.org\n".encode("utf-16"),
            "line 1: is UTF-16: save the file as UTF-8, and import it again",
            set(),
        ),
        (b"z" * 100_000 + b"\neva@example.org\n", "line 1: longer than 40000 bytes", EVA),
        (
            b"eva@example.org\n5,6\n",
            f"line 2: 2 cells: {NAMES}",
            EVA,
        ),
        (
            b"email,until\neva@example.org,\nfay@example.org,soon\n",
            "line 3: until 'soon': write a day, as 2027-01-31",
            EVA,
        ),
        (b'eva@example.org\n"q q"@example.org\n', "", {'"q q"@example.org', *EVA}),
    ],
)
def test_import_says_what_to_do(cli, file, content, said, taken):
    result = cli("suppressions", "import", file(content))

    assert result.stderr.strip() == said
    assert set(listed(cli)) == taken


def test_import_drops_no_second_address_of_a_line(cli, file):
    result = cli("suppressions", "import", file(b"ann@example.org, Bob@Example.org\n"))

    assert result.stderr.startswith("line 1: 2 cells")
    assert listed(cli) == {}


def test_import_of_broken_lines_alone_fails(cli, file):
    result = cli("suppressions", "import", file(b"no address\n"))

    assert result.stderr.startswith("line 1: ")
    assert isinstance(result.exception, InputRejected)


def test_strict_import_takes_nothing_where_a_line_is_broken(cli, file):
    result = cli("suppressions", "import", file(LIST), "--strict")

    assert isinstance(result.exception, InputRejected)
    assert listed(cli) == {}


@pytest.mark.parametrize(
    "content",
    [
        b"email,reason,until,scope\neva@example.org,moved away,2126-01-01,list:news\n",
        b"Email;Reason;Until;Scope\r\neva@example.org;moved away;2126-01-01;list:news\r\n",
        b"-\taddress\treason\tuntil\tscope\nE\teva@example.org\tmoved away\t2126-01-01\tlist:news",
    ],
)
def test_import_reads_tables_by_their_header(cli, file, content):
    assert cli("suppressions", "import", file(content)).exception is None

    one = listed(cli)["eva@example.org"]
    assert (one["reason"], one["until"][:4], one["scope"]) == ("moved away", "2126", "list:news")


@pytest.mark.parametrize(
    "row",
    [
        b"eva@example.org,,never,",
        b"eva@example.org,,99999-01-01,",
        b"eva@example.org,,2020-01-01,",
        b"eva@example.org,,,all over",
        b"eva@example.org,K\xfcndigung,,",
    ],
)
def test_import_refuses_what_it_does_not_understand(cli, file, row):
    content = b"email,reason,until,scope\n" + row + b"\n"

    assert cli("suppressions", "import", file(content)).stderr.startswith("line 2: ")
    assert listed(cli) == {}


def test_import_of_the_same_again_changes_nothing(cli, file):
    path = file(b"eva@example.org\neva@example.org\n")
    cli("suppressions", "import", path)

    assert cli("suppressions", "import", path).stdout.startswith("0 suppressed, 1 were already")


@pytest.mark.parametrize(("until", "taken"), [("2100-01-01", 0), ("2099-01-01", 0), ("", 1)])
def test_import_takes_what_lasts_longer_than_what_is_there(cli, file, until, taken):
    cli("suppressions", "import", file(b"email,until\neva@example.org,2100-01-01\n"))

    again = cli("suppressions", "import", file(f"email,until\neva@example.org,{until}\n".encode()))

    assert again.stdout.startswith(f"{taken} suppressed, {1 - taken} were already")


def test_imported_word_holds_when_a_bounce_of_the_address_is_forgiven(suppressed, file):
    found = suppressed("suppressions", "import", file(b"email,reason\nann@example.org,a\0b\n"))
    assert found.stdout == "1 suppressed, 0 were already, 0 lines are broken.\n"

    suppressed("suppressions", "undo", "--cause", "hard", "--yes")
    suppressed("suppressions", "undo", "--rule", "status-5.1.1", "--yes")

    one = listed(suppressed)["ann@example.org"]
    assert (one["cause"], one["reason"]) == ("manual", "a\N{REPLACEMENT CHARACTER}b")


def test_what_is_exported_can_be_imported(cli, file, tmp_path):
    cli("suppressions", "add", "+eva@example.org", "--why", "=1+1", "--for", "3d")
    cli("suppressions", "export", "--output", str(tmp_path / "out.csv"))
    before = listed(cli)
    cli("suppressions", "undo", "--cause", "manual", "--yes")

    cli("suppressions", "import", str(tmp_path / "out.csv"))

    after = listed(cli)
    assert after.keys() == before.keys()
    assert after["+eva@example.org"]["reason"] == "=1+1"
    assert after["+eva@example.org"]["until"] == before["+eva@example.org"]["until"]


def test_exported_table_calculates_nothing(cli):
    cli("suppressions", "add", "+eva@example.org", "--why", '=HYPERLINK("x")')

    header, row = csv.reader(io.StringIO(cli("suppressions", "export").output))
    told = dict(zip(header, row, strict=True))
    assert (told["recipient"], told["reason"]) == ("'+eva@example.org", '\'=HYPERLINK("x")')


@pytest.mark.parametrize(
    ("form", "begins"),
    [
        ("postfix", "ann@example.org 550 5.7.1 recipient is suppressed by mtabounce: user_unknown"),
        ("postfix-transport", "ann@example.org error:5.7.1 recipient is suppressed by mtabounce: "),
        ("exim", '"ann@example.org": recipient is suppressed by mtabounce: user_unknown since '),
    ],
)
def test_table_for_a_mail_server_has_only_what_holds_everywhere(suppressed, form, begins):
    suppressed("suppressions", "add", "eva@example.org", "--scope", "list:news")
    suppressed("suppressions", "add", '"a b"@example.org')

    (line,) = suppressed("suppressions", "export", "--format", form).stdout.splitlines()

    assert line.startswith(begins)


def test_undo_by_a_rule_of_what_was_kept_leaves_what_rests_on_another(suppressed, database_url):
    kept = """
        INSERT INTO mtabounce.decisions
               (recipient_id, recipient, key, actor, action, why, settings, scope, type, rule,
                bounces, decided_at)
        SELECT id, recipient, 'kept', 'policy', 'keep', '', '', 'all', 'soft', 'old-soft',
               '{999999}', now()
          FROM mtabounce.recipients WHERE recipient = 'ann@example.org'
    """
    with psycopg.connect(database_url) as conn:
        conn.execute(kept)

    undone = suppressed("suppressions", "undo", "--rule", "old-soft", "--yes")

    assert undone.output == "No suppression fits.\n"
    assert listed(suppressed)["ann@example.org"]["cause"] == "hard"


def test_export_for_servers_says_what_it_leaves_out(cli):
    cli("suppressions", "add", "ann@example.org", '"ann b"@example.org')

    told = cli("suppressions", "export", "--format", "postfix")

    assert [line.split()[0] for line in told.stdout.splitlines()] == ["ann@example.org"]
    assert told.stderr == "Left out, as this format has no way to write them: 1\n"


def test_export_as_json_has_all_scopes(cli):
    cli("suppressions", "add", "eva@example.org", "--scope", "list:news")

    (one,) = map(json.loads, cli("suppressions", "export", "--format", "json").output.splitlines())
    assert one["scope"] == "list:news"


def test_mail_server_is_told_why(suppressed, database_url):
    with psycopg.connect(database_url) as conn:
        query = "SELECT * FROM mtabounce.refusal(%s)"
        ((told,),) = conn.execute(query, ["ANN@example.org"]).fetchall()
        assert told.startswith("recipient is suppressed by mtabounce: user_unknown since 20")
        assert conn.execute(query, ["eva@example.org"]).fetchall() == []
