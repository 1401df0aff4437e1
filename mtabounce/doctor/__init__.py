"""
Looks whether everything that mtabounce needs is in order, and says what to do where it is not.

A check is a module of this folder that declares one ``CHECK``; its findings are shown in the
order of the ranks. Checks change nothing.
"""

from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from mtabounce.config import ListenAddress
from mtabounce.doctor._check import Check, Finding, Level, Patient
from mtabounce.errors import ConfigError, MtabounceError
from mtabounce.registry import discover
from mtabounce.settings import load_with_origins
from mtabounce.store.connection import limited
from mtabounce.store.embedded import running_url

__all__ = ["Check", "Finding", "Level", "Patient", "checks", "examine", "patient_of"]


def checks() -> list[Check]:
    """Return all checks in the order in which they are made."""
    return sorted(discover(__name__, Check).values(), key=lambda check: (check.rank, check.title))


def examine(
    config: Path | None, resolver: ListenAddress | None = None, only: Collection[str] = ()
) -> Iterator[Finding]:
    """
    Make the checks of the titles *only* (none: all) on *config*, and give what each finds.

    Where the configuration is wrong, that is the only finding. *resolver* is the DNS server to
    ask; None: the system's.
    """
    patient = patient_of(config, resolver)
    for check in checks():
        if check.title not in (only or {check.title}) and patient.settings:
            continue
        if patient.settings is None and check.needs_settings:
            continue  # the configuration is what to mend first
        try:
            yield from check.run(patient)
        except MtabounceError as error:
            yield Finding(check.title, Level.FAIL, str(error))
        except Exception as error:  # noqa: BLE001 (what one check meets must not hide the others)
            yield Finding(check.title, Level.FAIL, f"the check itself failed: {error!r}")


def patient_of(config: Path | None, resolver: ListenAddress | None = None) -> Patient:
    """Return what checks look at: the settings of *config*, and the database, if it runs."""
    try:
        loaded = load_with_origins(config)
    except ConfigError as error:
        return Patient(fault=error, resolver=resolver)
    url = loaded.settings.database.url
    if url is None:
        with suppress(MtabounceError):  # what is wrong is told by the check of the database
            url = running_url(loaded.settings.state)
    if url is not None:
        url = limited(url, loaded.settings.database)
    return Patient(settings=loaded.settings, config=loaded.path, url=url, resolver=resolver)
