"""
Whom not to mail: a pure function of what happened to an address. No clock, no database.

The same facts give the same standing in whatever order they came. Of deliveries only the last one
matters to it, so that no others need be kept: what a delivery clears is as if it had not been.
"""

from collections.abc import Iterable
from datetime import datetime

from mtabounce.model import Trust
from mtabounce.policy.course import Course
from mtabounce.policy.events import Event, EventKind, Policy, Standing

_KINDS = {kind: rank for rank, kind in enumerate(EventKind)}


def judge(history: Iterable[Event], policy: Policy, now: datetime) -> Standing:
    """Return where an address stands at *now* after *history*, in whatever order it is given."""
    past = {event for event in history if event.at <= now}
    words = [event for event in past if event.kind is EventKind.REMOVED]
    forgiven = {number for word in words for number in word.forgives}
    undone = {number for word in words for number in word.undoes}
    course = Course(policy, forgiven, undone)
    lasting = Course(policy, forgiven, undone)  # without what a delivery clears, where one came
    delivered = any(event.kind is EventKind.DELIVERED for event in past)
    for event in sorted(past, key=_order) if len(past) > 1 else past:
        course.pass_time(event.at)
        lasting.pass_time(event.at)
        if event.kind is not EventKind.DELIVERED:
            course.take(event)
            if delivered and not policy.is_cleared(event):
                lasting.take(event)
        elif event.trust is Trust.PROVEN:
            course.become(lasting, event)
    course.pass_time(now)
    return Standing(suppressions=course.suppressions, decisions=course.decisions)


def _order(event: Event) -> tuple[datetime, int, str, str, str, str, int, str]:
    said = event.message, event.scope, event.type or "", event.reason  # ids are as they came
    return event.at, _KINDS[event.kind], *said, event.id, repr(event)
