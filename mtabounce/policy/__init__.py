"""Whom not to mail, and why: a pure function of what happened to an address."""

from mtabounce.policy.breaker import (
    BreakerSettings,
    IncidentKind,
    Seen,
    blocked_by,
    is_jump,
    kind_of,
)
from mtabounce.policy.course import DELIVERY_LIFTS
from mtabounce.policy.events import (
    EVERYWHERE,
    Decision,
    Event,
    EventKind,
    Override,
    Policy,
    Rules,
    Standing,
    Suppression,
)
from mtabounce.policy.settings import PolicySettings
from mtabounce.policy.standing import judge
from mtabounce.policy.threshold import Consequence, Threshold

__all__ = [
    "DELIVERY_LIFTS",
    "EVERYWHERE",
    "BreakerSettings",
    "Consequence",
    "Decision",
    "Event",
    "EventKind",
    "IncidentKind",
    "Override",
    "Policy",
    "PolicySettings",
    "Rules",
    "Seen",
    "Standing",
    "Suppression",
    "Threshold",
    "blocked_by",
    "is_jump",
    "judge",
    "kind_of",
]
