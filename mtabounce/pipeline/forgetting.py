"""Reports about addresses that were erased: they are not kept, and neither are their mails."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from prometheus_client import Counter
from psycopg import AsyncConnection

from mtabounce.address import normalize
from mtabounce.correlate import Observation
from mtabounce.logs import Delivery
from mtabounce.store import erasure as store
from mtabounce.store.text import clean_text

ERASED = Counter(
    "mtabounce_erased_reports_total",
    "Reports that were not kept, as they were about addresses that were erased.",
)


async def without_erased(
    conn: AsyncConnection[Any], observations: Sequence[Observation]
) -> Sequence[Observation]:
    """Return those of *observations* that name nobody who was erased; empty inputs of others."""
    names = {
        name
        for one in observations
        for name in _names(one.recipient, one.report.final_recipient, one.report.original_recipient)
    }
    erased = await store.erased_among(conn, names) if names else set()
    if not erased:
        return observations
    left, inputs = [], set()
    for one in observations:
        told = (one.recipient, one.report.final_recipient, one.report.original_recipient)
        if erased.isdisjoint(_names(*told)):
            left.append(one)
            continue
        ERASED.inc()
        inputs |= {one.input_id} - {None}
    await store.empty_inputs(conn, sorted(number for number in inputs if number))
    return left


async def waiting_without_erased(
    conn: AsyncConnection[Any], waiting: Iterable[Delivery]
) -> list[Delivery]:
    """Return those of *waiting* that name nobody who was erased."""
    named = [(one, _names(one.final_recipient, one.original_recipient)) for one in waiting]
    names = {name for _, found in named for name in found}
    erased = await store.erased_among(conn, names) if names else set()
    return [one for one, found in named if erased.isdisjoint(found)]


def _names(*addresses: str) -> set[str]:
    found = set()
    for one in filter(None, addresses):
        found.add(clean_text(one))
        with suppress(ValueError):
            found.add(normalize(one))
    return found
