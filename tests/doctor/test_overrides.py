"""Doctor names overrides for lists and campaigns that no bounce was ever of."""

import psycopg
import pytest

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
    assert text == "[[policy.override]] 1: campaign = 'sprign': no bounce of it was ever seen"
    assert mend == "did you mean 'spring'?"


def test_names_that_were_seen_are_well(found, bounce):
    bounce('{"list_id": "news.example.org"}')

    assert found(OVERRIDES.replace("sprign", "spring")) == [
        (Level.OK, "each is for mail that bounced before", "")
    ]
