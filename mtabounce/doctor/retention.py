"""What is too old goes, and the months to come have their partitions."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

from mtabounce.doctor._check import Check, Finding, Level, Patient
from mtabounce.errors import MtabounceError
from mtabounce.pipeline.retention import due
from mtabounce.pipeline.settings import RetentionSettings
from mtabounce.store.connection import connect
from mtabounce.store.retention import has_partitions

_TITLE = "retention"
_LATE = timedelta(days=2)  # upkeep runs each hour
_AHEAD = timedelta(days=31)
_MEND = "is mtabounce serve running, as the owner or in mtabounce_admin? run: mtabounce db upkeep"


def _run(patient: Patient) -> Iterator[Finding]:
    now = datetime.now(UTC)
    ready = patient.ask(partial(has_partitions, since=now, until=now + _AHEAD))
    if ready is None or patient.url is None:
        return
    try:
        late = asyncio.run(_late(patient.url, patient.given().retention, now - _LATE))
    except MtabounceError:
        return  # the check of the database tells it
    if not ready:
        text = "bounces of this month or the next have no partition of their own"
        yield Finding(_TITLE, Level.WARN, text, _MEND)
    for table, rows in late:
        text = f"retention is behind: {table} has {rows} rows that should have gone"
        yield Finding(_TITLE, Level.WARN, text, _MEND)
    if ready and not late:
        yield Finding(_TITLE, Level.OK, "nothing is older than it may be")


async def _late(
    url: str, settings: RetentionSettings, now: datetime
) -> list[tuple[str, int | str]]:
    async with await connect(url, application_name="mtabounce doctor") as conn:
        return [
            (table, rows or f"({', '.join(months)})")
            async for table, rows, months in due(conn, settings, now)
            if rows or months
        ]


CHECK = Check(title=_TITLE, rank=55, run=_run)
