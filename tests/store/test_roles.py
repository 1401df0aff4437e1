"""Each role may do what it is for, and no more."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege, UndefinedTable

from mtabounce.doctor import Level, examine
from mtabounce.pipeline.settings import RetentionSettings, SentMailSettings
from mtabounce.pipeline.upkeep import keep_up
from mtabounce.store import connect
from mtabounce.store.migrate import migrate

NOW = datetime.now(UTC)

ALLOWED = [
    ("mtabounce_read", "SELECT id, state, error FROM mtabounce.inputs"),
    ("mtabounce_read", "SELECT * FROM mtabounce.bounces"),
    ("mtabounce_read", "SELECT * FROM mtabounce.observations"),
    ("mtabounce_read", "SELECT * FROM mtabounce.migrations"),
    (
        "mtabounce_ingest",
        "INSERT INTO mtabounce.inputs (source, content) VALUES ('pipe', 'x') RETURNING id",
    ),
    ("mtabounce_ingest", "SELECT * FROM mtabounce.migrations"),
    ("mtabounce_admin", "SELECT content FROM mtabounce.inputs"),
    ("mtabounce_admin", "DELETE FROM mtabounce.inputs"),
    ("mtabounce_admin", "SELECT nextval('mtabounce.bounces_id_seq')"),
    ("mtabounce_admin", "SELECT mtabounce.keep_sent_mail('2026-01-01', '2026-01-03')"),
]
REFUSED = [
    ("mtabounce_read", "SELECT content FROM mtabounce.inputs"),
    ("mtabounce_read", "SELECT * FROM mtabounce.inputs"),
    ("mtabounce_read", "SELECT inputs FROM mtabounce.inputs"),
    ("mtabounce_read", "INSERT INTO mtabounce.inputs (source, content) VALUES ('pipe', 'x')"),
    ("mtabounce_read", "UPDATE mtabounce.bounces SET type = 'hard'"),
    ("mtabounce_read", "DELETE FROM mtabounce.recipients"),
    ("mtabounce_read", "SELECT nextval('mtabounce.bounces_id_seq')"),
    ("mtabounce_read", "SELECT mtabounce.ensure_partitions(now(), now() + interval '9 years')"),
    ("mtabounce_read", "SELECT mtabounce.keep_sent_mail(NULL, NULL)"),
    ("mtabounce_read", "SELECT mtabounce.drop_month('bounces_y2026m01')"),
    ("mtabounce_ingest", "SELECT mtabounce.drop_month('bounces_y2026m01')"),
    ("mtabounce_ingest", "SELECT source FROM mtabounce.inputs"),
    ("mtabounce_ingest", "SELECT * FROM mtabounce.bounces"),
    ("mtabounce_ingest", "UPDATE mtabounce.inputs SET state = 'done'"),
    ("mtabounce_ingest", "DELETE FROM mtabounce.inputs"),
    ("mtabounce_admin", "CREATE TABLE mtabounce.mine ()"),
    ("mtabounce_admin", "DROP TABLE mtabounce.inputs"),
]


@pytest.fixture
def execute_as(database_url) -> Callable[[str, str], None]:
    def execute(role: str, statement: str) -> None:
        with psycopg.connect(database_url) as conn:
            conn.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
            conn.execute(statement)
            conn.rollback()

    return execute


@pytest.mark.parametrize(("role", "statement"), ALLOWED)
def test_role_may_do_what_it_is_for(role, statement, execute_as):
    execute_as(role, statement)


@pytest.mark.parametrize(("role", "statement"), REFUSED)
def test_role_may_do_nothing_else(role, statement, execute_as):
    with pytest.raises(InsufficientPrivilege):
        execute_as(role, statement)


def test_nobody_else_may_anything(database_url, administer):
    administer.execute("CREATE ROLE stranger LOGIN")
    try:
        stranger = database_url.replace("mtabounce@", "stranger@")
        with psycopg.connect(stranger) as conn, pytest.raises(InsufficientPrivilege):
            conn.execute("SELECT * FROM mtabounce.bounces")
    finally:
        administer.execute("DROP ROLE stranger")


def test_reader_sees_partitions_that_were_made_later(database_url, execute_as):
    with psycopg.connect(database_url) as conn:
        conn.execute("SELECT mtabounce.ensure_partitions('2026-01-01', '2026-02-01')")

    execute_as("mtabounce_read", "SELECT * FROM mtabounce.bounces_y2026m01")


def test_rights_are_granted_again_by_the_next_migrate(database_url, execute_as):
    with psycopg.connect(database_url) as conn:
        conn.execute("REVOKE ALL ON mtabounce.bounces FROM mtabounce_read")
        conn.execute("GRANT SELECT ON mtabounce.inputs TO mtabounce_read")

    migrate(database_url)

    execute_as("mtabounce_read", "SELECT * FROM mtabounce.bounces")
    with pytest.raises(InsufficientPrivilege):
        execute_as("mtabounce_read", "SELECT content FROM mtabounce.inputs")


def test_owner_who_may_not_make_roles_is_told_what_to_run(administer, embedded, caplog, tmp_path):
    config = tmp_path / "mtabounce.toml"
    names = ("mtabounce_read", "mtabounce_ingest", "mtabounce_admin")
    # The roles are shared by all databases: take one away under another name for the moment.
    administer.execute("ALTER ROLE mtabounce_read RENAME TO mtabounce_read_away")
    administer.execute("CREATE ROLE owner_only LOGIN")
    administer.execute("CREATE DATABASE owned OWNER owner_only")
    try:
        url = embedded.url.replace("mtabounce@/mtabounce?", "owner_only@/owned?")

        assert migrate(url)
        config.write_text(f'[database]\nurl = "{url}"\n')
        told = list(examine(config, None, ["database"]))
    finally:
        administer.execute("DROP DATABASE owned WITH (FORCE)")
        administer.execute("DROP ROLE owner_only")
        administer.execute("ALTER ROLE mtabounce_read_away RENAME TO mtabounce_read")

    (warning,) = caplog.messages
    assert all(f"CREATE ROLE {name} NOLOGIN" in warning for name in names)
    assert [one.mend for one in told if one.level is Level.WARN] == [
        "as a superuser run: CREATE ROLE mtabounce_read NOLOGIN; and then `mtabounce db migrate`"
    ]


@pytest.fixture
def service_url(database_url, administer) -> Iterator[str]:
    """The URL of a user that runs the service, and does not own the tables."""
    administer.execute("CREATE ROLE service LOGIN IN ROLE mtabounce_admin")
    yield database_url.replace("mtabounce@", "service@")
    administer.execute("DROP ROLE service")


async def test_service_that_does_not_own_the_tables_looks_after_them(service_url, execute_as):
    old = NOW - timedelta(days=500)
    async with await connect(service_url, application_name="a test") as conn:
        await conn.execute("SELECT ensure_partitions(%s, %s)", [old, old])

        await keep_up(conn, RetentionSettings(), SentMailSettings(days=2), NOW)

        tables = await conn.execute(
            "SELECT relname, relowner::regrole::text FROM pg_class"
            " WHERE relname ~ '^(bounces|observations|sent_mail)_y.*[0-9]$'"
        )
        owners = dict(await tables.fetchall())
    assert f"bounces_{old:y%Ym%m}" not in owners
    assert {f"bounces_{NOW:y%Ym%m}", f"sent_mail_{NOW:y%Ym%md%d}"} <= owners.keys()
    assert set(owners.values()) == {"mtabounce"}
    execute_as("mtabounce_read", f"TABLE mtabounce.bounces_{NOW:y%Ym%m}")


@pytest.mark.parametrize("name", ["inputs", "bounces", "bounces_default", "x; DROP TABLE inputs"])
def test_no_other_table_is_dropped_for_it(name, service_url):
    with psycopg.connect(service_url) as conn, pytest.raises(UndefinedTable, match="no monthly"):
        conn.execute("SELECT mtabounce.drop_month(%s)", [name])
