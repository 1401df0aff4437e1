"""Doctor names overrides for lists and campaigns that were never seen; a check refuses them."""

import os

import psycopg
import pytest
from click.testing import CliRunner

from mtabounce.cli import mtabounce
from mtabounce.doctor import Level, examine

OVERRIDES = """
[[policy.override]]
list_id = "news.example.org"
campaign = "sprign"
soft = { count = 5 }

[[policy.override]]
list_id = "news.example.org"
soft = { count = 4 }
"""


@pytest.fixture
def found(tmp_path, database_url):
    def _found(more):
        path = tmp_path / "mtabounce.toml"
        path.write_text(f'[database]\nurl = "{database_url}"\n{more}')
        return [(one.level, one.text, one.mend) for one in examine(path, None, ["overrides"])]

    return _found


@pytest.fixture
def check(tmp_path, database_url):
    def _check(*arguments, url=database_url, more=OVERRIDES):
        path = tmp_path / "mtabounce.toml"
        path.write_text(f'[database]\nurl = "{url}"\nconnect_timeout = "2s"\n{more}')
        return CliRunner().invoke(mtabounce, ["config", "check", str(path), *arguments])

    return _check


@pytest.fixture
def bounce(database_url):
    def _bounce(meta):
        with psycopg.connect(database_url, autocommit=True) as conn:
            conn.execute(
                """
                WITH one AS (INSERT INTO mtabounce.recipients (recipient, domain)
                             VALUES ('ann@x.example', 'x.example')
                             RETURNING id)
                INSERT INTO mtabounce.bounces
                       (recipient_id, recipient, type, reason, trust, first_seen_at, last_seen_at,
                        rule, sources, decisive, decisive_at, meta)
                SELECT id, 'ann@x.example', 'soft', 'mailbox_full', 'proven', now(), now(),
                       'a rule', '{log}', 'log', now(), %s::jsonb
                  FROM one
                """,
                [meta],
            )
            conn.execute("INSERT INTO mtabounce.campaigns (campaign) VALUES ('spring')")

    return _bounce


def test_without_overrides_there_is_nothing_to_say(found):
    assert found("") == []


def test_names_that_were_never_seen_are_told_with_one_that_was(found, bounce):
    bounce('{"list_id": "The News <News.example.org>"}')

    ((level, text, mend),) = found(OVERRIDES)

    assert level is Level.WARN
    assert text == "[[policy.override]] 1: campaign = 'sprign': nothing of it was ever seen"
    assert mend == "did you mean 'spring'?"


def test_names_that_were_seen_are_well(found, bounce):
    bounce('{"list_id": "news.example.org"}')

    assert found(OVERRIDES.replace("sprign", "spring")) == [
        (Level.OK, "each is for mail that was seen before", "")
    ]


def test_check_refuses_what_was_never_seen_with_its_line(check, bounce, tmp_path):
    bounce('{"list_id": "The News <News.example.org>"}')

    ran = check()

    assert ran.exception.exit_code == os.EX_CONFIG
    assert str(ran.exception) == (
        f"{tmp_path}/mtabounce.toml:7: [[policy.override]] campaign: nothing was ever seen of"
        " 'sprign'; did you mean 'spring'? Or, where its first bounce is still to come, check with"
        " --new sprign"
    )


def test_check_takes_a_new_list_that_is_named(check, bounce):
    bounce('{"list_id": "news.example.org"}')

    assert "no fault found" in check("--new", "sprign").output
    assert check("--new", "news.example.org").exit_code


def test_check_takes_a_new_list_however_its_name_is_written(check, bounce):
    bounce("{}")

    named = check("--new", "News.Example.org", "--new", "sprign")

    assert "no fault found" in named.output


@pytest.mark.parametrize(
    "seen",
    [
        "INSERT INTO return_paths (recipient, campaign) VALUES ('ann@x.example', 'sprign')",
        "INSERT INTO campaigns (campaign) VALUES ('sprign')",
        """INSERT INTO suppressions (recipient, cause, scope, action, since)
           VALUES ('ann@x.example', 'manual', 'campaign:sprign', 'blocklist', now())""",
    ],
)
def test_check_knows_a_campaign_by_more_than_bounces(check, bounce, database_url, seen):
    bounce('{"list_id": "news.example.org"}')
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(seen)

    assert "no fault found" in check().output


def test_check_says_what_it_could_not_ask_the_database(check):
    away = "postgresql://nobody@127.0.0.1:1/nothing"

    ran, plain = check(url=away), check(url=away, more="")

    assert ran.exit_code == 0
    assert ran.output.splitlines()[-1] == (
        "Not looked at, as the database does not answer: lists and campaigns of overrides."
    )
    assert "Not looked at" not in plain.output
