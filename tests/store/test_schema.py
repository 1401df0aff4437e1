"""The schema explains itself."""

import psycopg

from mtabounce.store.schema import describe_schema, silent_objects


def test_every_object_has_a_comment(database_url):
    with psycopg.connect(database_url) as conn:
        assert silent_objects(conn) == []


def test_object_without_a_comment_is_named(database_url):
    with psycopg.connect(database_url) as conn:
        conn.execute("CREATE TABLE mtabounce.mute (told int, untold int)")
        conn.execute("COMMENT ON COLUMN mtabounce.mute.told IS 'x'")
        conn.execute("CREATE FUNCTION mtabounce.mute() RETURNS int RETURN 1")

        assert sorted(silent_objects(conn)) == [
            "column mtabounce.mute.untold",
            "function mtabounce.mute",
            "relation mtabounce.mute",
        ]


def test_description_tells_tables_columns_and_functions(database_url):
    with psycopg.connect(database_url) as conn:
        conn.execute("SELECT mtabounce.ensure_partitions('2026-01-01', '2026-02-01')")
        text = describe_schema(conn)

    assert "## mtabounce.bounces (table)\n\nOne row: one message that failed" in text
    assert "| `reply_code` | smallint | may be NULL | SMTP reply code, such as 550" in text
    assert "| `id` | bigint | numbered | Number of the input, in order of arrival. |" in text
    assert "| `diagnostic_code` | text | default `''` | What the remote server" in text
    assert "## mtabounce.ensure_partitions(since timestamp" in text
    assert "y2026" not in text
