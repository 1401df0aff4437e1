"""What the schema says about itself: for docs/schema.md, and for sql/schema.sql."""

import subprocess
from collections.abc import Iterator
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from mtabounce.errors import StoreUnavailable
from mtabounce.store.cluster import installed_programs
from mtabounce.store.statements import statements

SCHEMAS = ["mtabounce", "listmonk"]  # those that are an API
_GENERATED = "-- Made by `make docs` from the migrations: change those, not this file.\n"
_SHORT = {"timestamp with time zone": "timestamptz", "timestamp without time zone": "timestamp"}


def describe_schema(conn: Connection[Any]) -> str:
    """Return Markdown on tables, views, columns and functions, from their comments."""
    return "\n".join([*_relations(conn), *_functions(conn)]).strip() + "\n"


def silent_objects(conn: Connection[Any]) -> list[str]:
    """Return what has no comment: "column mtabounce.inputs.id". There should be none."""
    rows = conn.execute(statements("describe")["silent"], {"schemas": SCHEMAS})
    return [name for (name,) in rows]


def dump_schema(url: str) -> str:
    """
    Return the schema as statements that make it, without comments and rights.

    The same for the same schema. Raises ConfigError where the wheel, whose pg_dump it is, is not
    installed, StoreUnavailable where that fails.
    """
    program = installed_programs() / "pg_dump"
    wanted = [f"--schema={schema}" for schema in SCHEMAS]
    plain = ["--schema-only", "--no-owner", "--no-privileges", "--no-comments"]
    done = subprocess.run(  # noqa: S603 (our own command line)
        [program, *plain, *wanted, url], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StoreUnavailable(f"pg_dump: {' '.join(done.stderr.split())}")
    return _tidied(done.stdout)


def _tidied(dump: str) -> str:
    """Keep the statements of a dump: no settings of the session, no comments of pg_dump's."""
    noise = ("--", "SET ", "SELECT pg_catalog.set_config", "\\restrict", "\\unrestrict")
    lines = [line for line in dump.splitlines() if not line.startswith(noise)]
    kept = [line for before, line in zip(["", *lines], lines, strict=False) if before or line]
    return "\n".join([_GENERATED, *kept]).strip() + "\n"


def _relations(conn: Connection[Any]) -> Iterator[str]:
    sql = statements("describe")
    with conn.cursor(row_factory=dict_row) as cursor:
        for found in cursor.execute(sql["relations"], {"schemas": SCHEMAS}).fetchall():
            yield f"## {found['title']}\n"
            yield f"{found['comment'] or ''}\n"
            yield "| column | type | notes | meaning |"
            yield "|---|---|---|---|"
            for column in cursor.execute(sql["columns"], {"oid": found["oid"]}).fetchall():
                kind, notes = _SHORT.get(column["type"], column["type"]), _notes(column)
                yield f"| `{column['name']}` | {kind} | {notes} | {_cell(column['comment'])} |"
            yield ""


def _notes(column: dict[str, Any]) -> str:
    """Say whether a column may be NULL, and what stands there where nothing is given."""
    if column["numbered"]:
        return "numbered"
    given = f"default `{_cell(column['default'])}`" if column["default"] else ""
    return ", ".join(note for note in ("" if column["required"] else "may be NULL", given) if note)


def _functions(conn: Connection[Any]) -> Iterator[str]:
    with conn.cursor(row_factory=dict_row) as cursor:
        cursor.execute(statements("describe")["functions"], {"schemas": SCHEMAS})
        for found in cursor:
            yield f"## {found['signature']}\n"
            yield f"{found['comment'] or ''}\n"


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|").replace("\n", " ")
