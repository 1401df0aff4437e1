"""outbox list and retry: what others did not take."""

import psycopg

from mtabounce.errors import UsageError

from .test_looking import lines


def test_dead_messages_are_shown_and_tried_again(cli, database_url):
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "INSERT INTO mtabounce.outbox (sink, event, recipient, payload, state, error, attempts)"
            " VALUES ('crm', 'suppressed', 'ann@example.org', '{}', 'dead', 'HTTP 404', 29)"
        )

    assert "HTTP 404" in cli("outbox", "list").output
    (one,) = lines(cli("outbox", "list", "--state", "dead", "--sink", "crm", "--json"))
    refused = cli("outbox", "retry", "999").exception
    assert str(refused) == "1 of the numbers are no dead messages: see mtabounce outbox list"
    assert cli("outbox", "retry", str(one["id"])).output == "1 are tried again.\n"
    (one,) = lines(cli("outbox", "list", "--json"))
    assert (one["state"], one["attempts"]) == ("pending", 0)


def test_sink_of_the_configuration_is_not_forgotten(cli, tmp_path, database_url):
    with (tmp_path / "mtabounce.toml").open("a") as config:
        config.write('[[sink]]\nkind = "command"\nname = "crm"\ncommand = ["true"]\n')
    with psycopg.connect(database_url) as conn:
        conn.execute("INSERT INTO sinks VALUES ('crm', '{suppressed}'), ('old', '{suppressed}')")

    assert isinstance(cli("outbox", "forget", "crm").exception, UsageError)
    assert cli("outbox", "forget", "old").output == "old is forgotten.\n"
    with psycopg.connect(database_url) as conn:
        assert conn.execute("SELECT name FROM sinks").fetchall() == [("crm",)]
