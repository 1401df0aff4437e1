"""
What logs said, judged again by the rules of today.

No input is kept of a line of a log, and none is needed: the observation holds all that the rules
look at. Whom it is about, and which message, does not change.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

from mtabounce.classify import Classifier
from mtabounce.correlate import Observation, observe_delivery
from mtabounce.model import Action, EnhancedStatus, Outcome, Report, Trust
from mtabounce.pipeline.decide import Recorder
from mtabounce.pipeline.rewrite import (
    BATCH,
    Difference,
    Step,
    in_short,
    judged_as,
    lock,
    put,
)
from mtabounce.store import rewrite as before
from mtabounce.store.connection import Connect
from mtabounce.store.rewrite import Logged, Mark, Selection

PLACE = "log:"  # how the place of a step begins; the id of a recipient follows
_FIRST = datetime(1, 1, 2, tzinfo=UTC)
_COLUMNS = (
    "final_recipient", "original_recipient", "diagnostic_code", "remote_mta", "reporting_mta",
    "original_message_id", "queue_id", "campaign",
)  # fmt: skip
_TEXTS = {field.name for field in fields(Report) if field.type is str} - set(_COLUMNS)


async def logged_again(
    connect: Connect,
    classifier: Classifier,
    selection: Selection,
    recorder: Recorder,
    *,
    write: bool,
    first: int = 0,
) -> AsyncIterator[Step]:
    """
    Judge what logs said again, from the recipient *first* on, and yield what changes.

    With *write*, each batch is written before it is yielded. Raises StoreUnavailable where the
    database goes away; what was yielded is done.
    """
    place: Mark = (first, _FIRST, b"")
    async with await connect() as conn:
        while batch := await before.logged_to_judge(conn, selection, place, BATCH):
            found = list(_differences(batch, classifier))
            if write and found:
                async with conn.transaction():
                    await lock(conn, found)
                    batch = await before.logged_to_judge(conn, selection, place, BATCH)
                    found = list(_differences(batch, classifier))
                    await put(conn, found, recorder)
            place = (batch[-1].recipient_id, batch[-1].occurred_at, batch[-1].key)
            yield Step(len(batch), found, f"{PLACE}{place[0]}")


def _differences(batch: Sequence[Logged], classifier: Classifier) -> Iterator[Difference]:
    for said in batch:
        one = _observed(said, classifier)
        was, now, rule = in_short(said), judged_as(one), one.verdict.rule
        if (was, said.rule) != (now, rule):
            yield Difference(None, said.recipient, was, now, rule, said, one)


def _observed(said: Logged, classifier: Classifier) -> Observation:
    """Return *said* as it is judged now; it stays the same observation."""
    report = _report(said)
    judged = observe_delivery(
        report,
        classifier.classify(report),
        source=said.source,
        parser=said.parser,
        trust=Trust(said.trust),
    )
    return replace(
        judged,
        recipient=said.recipient,
        occurred_at=said.occurred_at,
        key=said.key,
    )


def _report(said: Logged) -> Report:
    """Return the report that the log made; its own status is among the facts."""
    texts: dict[str, Any] = {name: getattr(said, name) for name in _COLUMNS}
    texts |= {name: value for name, value in said.facts.items() if name in _TEXTS}
    return Report(
        outcome=Outcome(said.outcome),
        action=Action(said.action) if said.action else None,
        status=EnhancedStatus.find(said.facts.get("reported_status", "")),
        occurred_at=said.occurred_at,
        **texts,
    )
