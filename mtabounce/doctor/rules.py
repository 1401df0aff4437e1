"""The rules load, with the user's own ones before them."""

from collections.abc import Iterator

from mtabounce.classify import load
from mtabounce.doctor._check import Check, Finding, Level, Patient
from mtabounce.errors import ConfigError

_TITLE = "rules"


def _run(patient: Patient) -> Iterator[Finding]:
    own = patient.given().rules
    try:
        load(own.folder, dict(own.types))
    except ConfigError as error:
        yield Finding(_TITLE, Level.FAIL, str(error))
        return
    yield Finding(
        _TITLE, Level.OK, f"loaded, those in {own.folder} first" if own.folder else "loaded"
    )


CHECK = Check(title=_TITLE, rank=30, run=_run)
