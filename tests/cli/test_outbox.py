"""outbox list and retry: what others did not take."""

import psycopg

from .test_looking import lines


def test_dead_messages_are_shown_and_tried_again(cli, database_url):
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "INSERT INTO mtabounce.outbox (sink, event, recipient, payload, state, error, attempts)"
            " VALUES ('crm', 'suppressed', 'ann@example.org', '{}', 'dead', 'HTTP 404', 29)"
        )

    assert "HTTP 404" in cli("outbox", "list").output
    (one,) = lines(cli("outbox", "list", "--state", "dead", "--sink", "crm", "--json"))
    assert cli("outbox", "retry", "999").output == "0 are tried again.\n"
    assert cli("outbox", "retry", str(one["id"])).output == "1 are tried again.\n"
    (one,) = lines(cli("outbox", "list", "--json"))
    assert (one["state"], one["attempts"]) == ("pending", 0)
