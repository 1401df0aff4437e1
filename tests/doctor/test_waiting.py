"""Doctor names what waits for somebody, and what retention should have taken."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from click.testing import CliRunner

from mtabounce.cli import mtabounce
from mtabounce.doctor import Level, examine

OLD = datetime.now(UTC) - timedelta(days=900)


@pytest.fixture
def config(tmp_path, database_url):
    path = tmp_path / "mtabounce.toml"
    path.write_text(f'[database]\nurl = "{database_url}"\n')
    return path


@pytest.fixture
def conn(database_url):
    with psycopg.connect(database_url, autocommit=True) as conn:
        yield conn


def found(config, check):
    return [(one.level, one.text, one.mend) for one in examine(config, None, [check])]


def test_open_incidents_and_messages_that_nobody_took_are_named(config, conn):
    title = "incidents and outbox"
    ((level, *_),) = found(config, title)
    assert level is Level.OK

    conn.execute(
        "INSERT INTO incidents (kind, operator, reason, said, began_at, last_at) VALUES"
        " ('blocked', 'google', 'ip_blocked', '550 see Spamhaus', now(), now())"
    )
    conn.execute(
        "INSERT INTO outbox (sink, event, recipient, payload, state) VALUES"
        " ('crm', 'lifted', 'ann@example.org', '{}', 'dead'),"
        " ('crm', 'lifted', 'bob@example.org', '{}', 'dead'),"
        " ('crm', 'lifted', 'eva@example.org', '{}', 'sent')"
    )

    incident, dead = found(config, title)
    assert incident[0] is dead[0] is Level.WARN
    assert "you are blocked at google by Spamhaus" in incident[1]
    assert "mtabounce incidents show 1" in incident[2]
    assert dead[1] == "2 messages were never taken by the sink crm"


def test_upkeep_does_what_doctor_asks_for(config, conn):
    conn.execute(
        "INSERT INTO inputs (source, content, received_at, state)"
        " SELECT 'receiver', '', %s, unnest(ARRAY['done', 'pending'])",
        [OLD],
    )
    late = [text for level, text, _ in found(config, "retention") if level is Level.WARN]
    assert any("have no partition" in text for text in late)
    assert "retention is behind: inputs has 1 rows that should have gone" in late

    def upkeep(*more):
        return CliRunner().invoke(mtabounce, ["--config", str(config), "db", "upkeep", *more])

    shown = upkeep("--dry-run")
    assert shown.exception is None
    assert "inputs" in shown.output
    (count,) = conn.execute("SELECT count(*) FROM inputs").fetchone()
    assert count == 2

    assert upkeep().exception is None

    assert conn.execute("SELECT state FROM inputs").fetchall() == [("pending",)]
    assert [level for level, *_ in found(config, "retention")] == [Level.OK]


def test_upkeep_names_the_days_of_sent_mail_that_go(config, conn):
    days = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'mtabounce.sent_mail'::regclass"
    conn.execute("SELECT mtabounce.keep_sent_mail(current_date - 9, current_date)")

    def upkeep(*more):
        said = CliRunner().invoke(mtabounce, ["--config", str(config), "db", "upkeep", *more])
        assert said.exception is None
        return said.output

    assert "sent_mail" in upkeep("--dry-run")
    assert conn.execute(days).fetchone() == (10,)
    assert "sent_mail" in upkeep()
    assert conn.execute(days).fetchone() == (0,)
    assert "sent_mail" not in upkeep("--dry-run")

    conn.execute("SELECT mtabounce.keep_sent_mail(current_date - 3, current_date)")
    with config.open("a") as file:
        file.write("[sent_mail]\ndays = 7\n")
    assert "sent_mail" not in upkeep("--dry-run")
