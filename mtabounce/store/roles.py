"""The roles that others connect by, and what each may: sql/roles.sql."""

import logging
from collections.abc import Iterable
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
    for role in missing_roles(conn):
        if not _create(conn, role):
            return
    with conn.transaction():
        for name, statement in statements("roles").items():
            if name.startswith("grant_"):
                conn.execute(statement)


def missing_roles(conn: Connection[Any]) -> list[str]:
    """Return which of the roles are not there."""
    rows = conn.execute(statements("roles")["find_roles"], {"names": list(ROLES)})
    found = {name for (name,) in rows}
    return [role for role in ROLES if role not in found]


def _create(conn: Connection[Any], role: str) -> bool:
    """Make *role*; warn and return False where the user may not."""
    try:
        conn.execute(SQL("CREATE ROLE {} NOLOGIN").format(Identifier(role)))
    except (DuplicateObject, UniqueViolation):  # roles are shared: another database was faster
        return True
    except InsufficientPrivilege:
        log.warning(
            "this user may not make roles, so that only the owner can read the database; %s",
            how_to_make(ROLES),
        )
        return False
    return True


def how_to_make(roles: Iterable[str]) -> str:
    """Say what is to be done where the owner of the database may not make *roles*."""
    made = "; ".join(f"CREATE ROLE {name} NOLOGIN" for name in roles)
    return f"as a superuser run: {made}; and then `mtabounce db migrate`"
