"""`mtabounce token`: who may use the API."""

import os

import pytest
from psycopg import connect


def tokens(url):
    with connect(url) as conn:
        query = "SELECT id, username, revoked_at IS NULL FROM mtabounce.api_tokens ORDER BY id"
        return conn.execute(query).fetchall()


def test_number_revokes_the_token_and_nobody_else_s(cli, database_url):
    with connect(database_url) as conn:  # of a time when any name was taken
        conn.execute(
            "INSERT INTO mtabounce.api_tokens (username, token_hash, scopes)"
            " SELECT name, sha256(name::bytea), '{read}' FROM unnest('{ann,1,bob}'::text[]) AS name"
        )

    said = cli("token", "revoke", "1")

    assert said.output == "1 revoked\n"
    assert tokens(database_url) == [(1, "ann", False), (2, "1", True), (3, "bob", True)]


def test_name_revokes_all_tokens_of_that_user(cli, database_url):
    for name in ("ann", "bob", "ann"):
        cli("token", "create", name, "--scope", "read")

    assert cli("token", "revoke", "ann").output == "2 revoked\n"
    assert tokens(database_url) == [(1, "ann", False), (2, "bob", True), (3, "ann", False)]


@pytest.mark.parametrize("name", ["5", "", "a:b", "a\nb"])
def test_names_that_no_user_can_have(cli, name):
    refused = cli("token", "create", name, "--scope", "read")

    assert refused.exception.exit_code == os.EX_USAGE
    assert "user name" in str(refused.exception)
