"""Which troubles with PostgreSQL pass: those become StoreUnavailable, in one line."""

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import Error, OperationalError

from mtabounce.config import hide_passwords
from mtabounce.errors import StoreUnavailable

# Connection exceptions, out of resources, stopped by an operator or a timeout, I/O error,
# rolled back (deadlock, serialization): https://www.postgresql.org/docs/current/errcodes-appendix.html
_PASSING_CLASSES = frozenset({"08", "53", "57", "58", "40"})
_PASSING_STATES = frozenset({"55P03", "25006", "25P03"})  # lock timeout, read-only, idle too long


def is_passing(error: Error) -> bool:
    """Tell whether the statement that met *error* may succeed later, as it is."""
    if error.sqlstate is None:  # not from the server: no connection, or no more
        return isinstance(error, OperationalError)
    return error.sqlstate[:2] in _PASSING_CLASSES or error.sqlstate in _PASSING_STATES


def one_line(error: Exception) -> str:
    """Return what *error* says in one line without a password."""
    lines = [line.strip() for line in str(error).splitlines()]
    text = "; ".join(line for line in lines if line) or type(error).__name__
    return hide_passwords(text)


@contextmanager
def unavailable() -> Iterator[None]:
    """
    Turn troubles with PostgreSQL that pass into StoreUnavailable; let others through.

    Raises StoreUnavailable where the connection is lost or cannot be had, a statement ran into
    a timeout, a lock, a deadlock, a full disk, or the server is read-only or going down.
    """
    try:
        yield
    except Error as error:
        if not is_passing(error):
            raise
        raise StoreUnavailable(f"PostgreSQL: {one_line(error)}") from error
