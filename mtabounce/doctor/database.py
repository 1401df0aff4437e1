"""PostgreSQL can be reached, is new enough, and has the schema that this program needs."""

from collections.abc import Iterator, Sequence

from psycopg.errors import InsufficientPrivilege

from mtabounce.doctor._check import Check, Finding, Level, Patient
from mtabounce.errors import ConfigError, StoreUnavailable
from mtabounce.store.connection import connect_sync, server_name
from mtabounce.store.health import PROBE
from mtabounce.store.roles import how_to_make, missing_roles
from mtabounce.store.state import state_directory
from mtabounce.store.unavailable import unavailable
from mtabounce.store.version import status

_TITLE = "database"


def _run(patient: Patient) -> Iterator[Finding]:
    settings = patient.given()
    if patient.url is None:
        where = state_directory(settings.state)
        yield Finding(
            _TITLE, Level.OK, f"embedded in {where}; not running", "start it with: mtabounce serve"
        )
        return
    try:
        with connect_sync(patient.url, application_name="mtabounce doctor") as conn:
            version = conn.execute("SHOW server_version").fetchone()
    except StoreUnavailable as error:
        yield Finding(_TITLE, Level.FAIL, str(error))
        return
    kind = "PostgreSQL" if settings.database.url else "embedded PostgreSQL"
    number = str(version[0]).partition(" ")[0] if version else "of an unknown version"
    yield Finding(_TITLE, Level.OK, f"{kind} {number} at {server_name(patient.url)}")
    schema = _schema(patient.url)
    yield schema
    if schema.level is Level.OK:
        yield from _writing(patient.url)
        yield from _roles(patient.ask(missing_roles) or [])


def _roles(missing: Sequence[str]) -> Iterator[Finding]:
    if missing:
        text = f"nobody can be let in to read: there is no role {', '.join(missing)}"
        yield Finding(_TITLE, Level.WARN, text, how_to_make(missing))


def _writing(url: str) -> Iterator[Finding]:
    try:
        with unavailable(), connect_sync(url, application_name="mtabounce doctor") as conn:
            conn.execute(PROBE)
    except StoreUnavailable as error:
        mend = "free space on its disk, or end what makes it read-only"
        yield Finding(_TITLE, Level.FAIL, f"cannot be written to: {error}", mend)
    except InsufficientPrivilege:
        return  # whoever asks may only read


def _schema(url: str) -> Finding:
    try:
        found = status(url)
    except ConfigError as error:  # the server is too old
        return Finding(_TITLE, Level.FAIL, str(error))
    if found.is_current:
        return Finding(_TITLE, Level.OK, f"schema {found.version} is what this program needs")
    if found.unknown:
        return Finding(
            _TITLE,
            Level.FAIL,
            f"schema {found.version} is of a newer mtabounce; this one knows {found.needed}",
            "upgrade mtabounce on this host",
        )
    if not found.applied:
        return Finding(_TITLE, Level.WARN, "the database is empty", "run: mtabounce db migrate")
    return Finding(
        _TITLE,
        Level.FAIL,
        f"schema {found.version} is older than what this program needs: {found.needed}",
        "run: mtabounce db migrate",
    )


CHECK = Check(title=_TITLE, rank=20, run=_run)
