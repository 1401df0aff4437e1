"""``mtabounce classify`` and ``mtabounce rules``, as a user calls them."""

import json

import pytest
from click.testing import CliRunner

from mtabounce.cli import mtabounce
from mtabounce.errors import ConfigError, UsageError

BOUNCE = """From: MAILER-DAEMON@mail.example.net
To: news@example.com
Subject: Undelivered Mail Returned to Sender
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example.net
X-Postfix-Queue-ID: 80F8B2E6934

Final-Recipient: rfc822; ann@example.org
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.example.org
Diagnostic-Code: smtp; 550 5.1.1 no such user

--b
Content-Type: text/rfc822-headers

From: News <news@example.net>
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=
Date: Mon, 23 Nov 2026 03:00:00 +0000
Message-ID: <news.1@example.net>
X-Campaign: spring
X-Listmonk-Subscriber: 5ca1ab1e
List-Id: <news.example.net>
Feedback-ID: 42:news

--b--
"""


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bounce.eml").write_text(BOUNCE)


def call(*args, given=None):
    return CliRunner().invoke(mtabounce, args, input=given, catch_exceptions=False)


def lines(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_json_has_the_fields_that_are_promised():
    (row,) = lines(call("classify", "--json", "bounce.eml"))

    (report,) = row.pop("reports")
    assert row == {"file": "bounce.eml", "outcome": "bounce", "note": "", "error": None}
    assert report == {
        "final_recipient": "ann@example.org",
        "original_recipient": "",
        "action": "failed",
        "status": "5.1.1",
        "reply_code": 550,
        "diagnostic_code": "550 5.1.1 no such user",
        "type": "hard",
        "reason": "user_unknown",
        "fault": "recipient",
        "rule": "status-user-unknown",
        "remote_mta": "mx.example.org",
        "reporting_mta": "mail.example.net",
        "queue_id": "80F8B2E6934",
        "original_envelope_id": "",
        "original_message_id": "news.1@example.net",
        "original_from": "News <news@example.net>",
        "original_subject": "Grüße",
        "original_date": "2026-11-23T03:00:00+00:00",
        "campaign": "spring",
        "subscriber": "5ca1ab1e",
        "list_id": "<news.example.net>",
        "feedback_id": "42:news",
        "feedback_type": "",
    }


def test_people_are_told_the_reason_and_the_rule():
    result = call("classify", "bounce.eml")

    assert "ann@example.org: hard, user_unknown, the recipient's fault" in result.stdout
    assert "rule   status-user-unknown" in result.stdout


def test_mail_that_was_not_read_to_its_end_says_so():
    block = "Final-Recipient: rfc822; u%d@example.org\nAction: failed\nStatus: 5.1.1\n\n"
    many = BOUNCE.replace("Final-", "".join(block % n for n in range(1000)) + "Final-")

    (row,) = lines(call("classify", "--json", given=many))

    assert len(row["reports"]) == 1000
    assert row["note"] == "more than 1000 recipients: only the first 1000 are read"
    assert f"bounce ({row['note']})" in call("classify", given=many).stdout


def test_standard_input_is_read_without_files():
    (row,) = lines(call("classify", "--json", given=BOUNCE))

    assert row["file"] == "(standard input)"
    assert row["reports"][0]["reason"] == "user_unknown"


def test_names_of_files_are_read_from_standard_input():
    rows = lines(call("classify", "--json", "--files-from", "-", given="bounce.eml\nbounce.eml\n"))

    assert [row["file"] for row in rows] == ["bounce.eml", "bounce.eml"]


def test_missing_file_is_one_error_and_the_others_go_on():
    result = call("classify", "--json", "missing.eml", "bounce.eml")

    missing, found = lines(result)
    assert missing == {
        "file": "missing.eml",
        "outcome": None,
        "reports": [],
        "note": "",
        "error": "No such file or directory",
    }
    assert found["outcome"] == "bounce"
    assert result.exit_code == 66  # EX_NOINPUT


def test_missing_file_is_one_line_for_people():
    result = call("classify", "missing.eml", "bounce.eml")

    assert result.stderr == "mtabounce: missing.eml: No such file or directory\n"
    assert "user_unknown" in result.stdout


def test_each_mail_of_an_mbox_is_read(tmp_path):
    line = "From MAILER-DAEMON Mon Mar  3 10:00:00 2025\n"
    (tmp_path / "box").write_text((line + BOUNCE + "\n") * 3)

    rows = lines(call("classify", "--json", "box"))

    assert [row["file"] for row in rows] == ["box", "box#2", "box#3"]
    assert {row["reports"][0]["reason"] for row in rows} == {"user_unknown"}


def test_each_mail_of_a_maildir_is_read(tmp_path):
    for folder in ("new", "cur", "tmp"):
        (tmp_path / "Maildir" / folder).mkdir(parents=True)
        (tmp_path / "Maildir" / folder / f"1.{folder}").write_text(BOUNCE)

    rows = lines(call("classify", "--json", "Maildir"))

    assert sorted(row["file"] for row in rows) == ["Maildir/cur/1.cur", "Maildir/new/1.new"]


def test_folder_without_mails_is_said_but_a_maildir_may_be_empty(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "Maildir" / "new").mkdir(parents=True)

    assert "no mail in this folder" in call("classify", "folder").stderr
    assert call("classify", "Maildir").stderr == ""


def test_replies_are_read_bare_too():
    result = call("classify", "--replies-from", "-", given="550 5.1.1 No such user\n")

    assert result.exit_code == 0
    assert "user_unknown" in result.output


def test_replies_are_read_a_json_string_a_line():
    result = call("classify", "--json", "--replies-from", "-", given='"552 5.2.2 full"\n"550 no"\n')

    assert lines(result) == [
        {
            "type": "soft",
            "reason": "mailbox_full",
            "fault": "recipient",
            "status": "5.2.2",
            "rule": "status-mailbox-full",
        },
        {
            "type": "soft",
            "reason": "undetermined",
            "fault": "unknown",
            "status": None,
            "rule": "undetermined",
        },
    ]


def test_terminal_is_safe_from_what_a_mail_says(tmp_path):
    (tmp_path / "evil.eml").write_text(BOUNCE.replace("no such user", "no such \x1b[31muser"))

    assert "\x1b" not in call("classify", "evil.eml").stdout


def test_rules_of_a_folder_come_first(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "a.toml").write_text(
        '[[rule]]\nid = "mine"\nreason = "policy_rejected"\ntext = "no such user"\n'
    )

    (row,) = lines(call("classify", "--json", "--rules", "own", "bounce.eml"))

    assert row["reports"][0]["rule"] == "mine"


def test_explain_shows_what_the_rules_see_and_which_of_them_fit():
    result = call("explain", "bounce.eml")

    assert "read by  the parser dsn" in result.stdout
    assert "text        550 5.1.1 no such user" in result.stdout
    assert "decided by status-user-unknown" in result.stdout
    assert 'fits too:  phrase-user-unknown (user_unknown)  "no such user"' in result.stdout


def test_explain_takes_standard_input_and_gives_json():
    (row,) = lines(call("explain", "--json", given=BOUNCE))

    assert (row["final_recipient"], row["rule"]) == ("ann@example.org", "status-user-unknown")
    assert row["seen"]["host"] == "mx.example.org"
    assert "phrase-user-unknown" in {other["rule"] for other in row["others"]}


def test_explain_of_a_missing_file_is_one_line():
    result = call("explain", "missing.eml")

    assert result.stderr == "mtabounce: missing.eml: No such file or directory\n"
    assert result.exit_code == 66


def test_rule_can_be_shown_with_what_it_means():
    result = call("rules", "show", "google-account-disabled")

    assert "mailbox_disabled, hard" in result.stdout
    assert "operator google" in result.stdout


def test_rules_of_a_reason_are_listed():
    rows = lines(call("rules", "list", "--json", "--reason", "routing_loop"))

    assert {row["reason"] for row in rows} == {"routing_loop"}


def test_rules_that_fit_a_text_are_shown_with_the_one_that_decides_first():
    rows = lines(call("rules", "test", "--json", "552 5.2.2 mailbox full"))

    assert rows[0]["reason"] == "mailbox_full"
    assert rows[-1]["id"] == "undetermined"


def test_lint_says_what_is_wrong_with_own_rules(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "a.toml").write_text(
        '[[rule]]\nid = "mine"\nreason = "policy_rejected"\ntext = "kettle"\nmatch = "550 pot"\n'
    )

    result = call("rules", "lint", "own")

    assert "a.toml: rule 'mine': its example '550 pot' is decided by" in result.stdout
    assert result.exit_code == 65  # EX_DATAERR


def test_lint_of_a_folder_without_rules_says_so(tmp_path):
    (tmp_path / "own").mkdir()

    with pytest.raises(UsageError, match="own: there are no rules in it"):
        call("rules", "lint", "own")


def test_configuration_that_may_not_be_looked_at_is_told_not_passed_over(tmp_path):
    """As one in a folder that is closed to who classifies; root may enter every folder."""
    (tmp_path / "mtabounce.toml").symlink_to("mtabounce.toml")

    with pytest.raises(ConfigError, match=r"^mtabounce.toml: cannot be read: "):
        call("classify", "bounce.eml")
