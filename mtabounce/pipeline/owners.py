"""
Whose mail a report is about that names nobody: a complaint that hides who complained.

What was returned still has the Message-ID of the mail, or the UUID of the subscriber; where it is
proven whom that went to, it is the same person. That alone proves nothing: what the report is worth
is asked afterwards, as for any other claim.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from prometheus_client import Counter
from psycopg import AsyncConnection

from mtabounce.correlate import ReturnPath, recipient_of
from mtabounce.model import Judged, Report
from mtabounce.pipeline.record import is_uuid
from mtabounce.pipeline.work import Work
from mtabounce.store import record as store
from mtabounce.store.inputs import ClaimedInput

UNNAMED = Counter(
    "mtabounce_unnamed_reports_total",
    "Inputs with a report that names nobody, as most complaints: found (by its return path, or by"
    " what else is known of its message), unknown.",
    ["result"],
)
UNKNOWN = "it does not say who, and its Message-ID and return path are not known here"


async def look_up(conn: AsyncConnection[Any], work: Sequence[Work]) -> list[Work]:
    """Return *work*; to the paths of each is added whom its message is known to have gone to."""
    rows = [
        _question(one.taken, report) for one in work if (report := unnamed(one.judged, one.paths))
    ]
    owners = await _owners(conn, rows) if rows else {}
    return [
        one._replace(paths=(*one.paths, ReturnPath(owners[one.taken.id])))
        if one.taken.id in owners
        else one
        for one in work
    ]


def unnamed(judged: Judged | str, paths: Sequence[ReturnPath]) -> Report | None:
    """Return the first report about nobody that it, or *paths*, names; None: there is none."""
    reports = () if isinstance(judged, str) else judged.reading.reports
    return next((report for report in reports if not recipient_of(report, paths)), None)


def count(judged: Judged, paths: Sequence[ReturnPath]) -> None:
    """Count an input with a report that names nobody, by whether it was found who it is."""
    if unnamed(judged, ()):
        UNNAMED.labels("unknown" if unnamed(judged, paths) else "found").inc()


def _question(one: ClaimedInput, report: Report) -> dict[str, Any]:
    return {
        "input_id": one.id,
        "received_at": one.received_at,
        "message_id": report.original_message_id,
        "subscriber": report.subscriber if is_uuid(report.subscriber) else "",
    }


async def _owners(conn: AsyncConnection[Any], rows: Sequence[dict[str, Any]]) -> dict[int, str]:
    """Return by input the one recipient that others name; none where they name two."""
    told: defaultdict[int, set[str]] = defaultdict(set)
    for number, recipient in await store.owners_of_messages(conn, rows):
        told[number].add(recipient)
    return {number: names.pop() for number, names in told.items() if len(names) == 1}
