"""The roles that others connect by, and what each may: sql/roles.sql."""

import logging
from typing import Any

from psycopg import Connection
from psycopg.errors import DuplicateObject, InsufficientPrivilege, UniqueViolation
from psycopg.sql import SQL, Identifier

from mtabounce.store.statements import statements

log = logging.getLogger(__name__)

ROLES = ("mtabounce_ingest", "mtabounce_read", "mtabounce_admin")


def grant_roles(conn: Connection[Any]) -> None:
    """
    Make the roles where they are missing, and grant each what it may; run after each migration.

    Where the user may not make roles, the log says which statement a superuser is to run.
    """
    sql = statements("roles")
    found = {name for (name,) in conn.execute(sql["find_roles"], {"names": list(ROLES)})}
    for role in ROLES:
        if role not in found and not _create(conn, role):
            return
    with conn.transaction():
        for name, statement in sql.items():
            if name.startswith("grant_"):
                conn.execute(statement)


def _create(conn: Connection[Any], role: str) -> bool:
    """Make *role*; warn and return False where the user may not."""
    try:
        conn.execute(SQL("CREATE ROLE {} NOLOGIN").format(Identifier(role)))
    except (DuplicateObject, UniqueViolation):  # roles are shared: another database was faster
        return True
    except InsufficientPrivilege:
        missing = "; ".join(f"CREATE ROLE {name} NOLOGIN" for name in ROLES)
        log.warning(
            "this user may not make roles, so that only the owner can read the database;"
            " as a superuser run: %s; and then `mtabounce db migrate`",
            missing,
        )
        return False
    return True
