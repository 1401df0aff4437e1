"""Whom not to mail, and why: a pure function of what happened to an address."""

from mtabounce.policy.settings import PolicySettings
from mtabounce.policy.standing import (
    EVERYWHERE,
    Consequence,
    Decision,
    Event,
    EventKind,
    Override,
    Policy,
    Rules,
    Standing,
    Suppression,
    Threshold,
    judge,
)

__all__ = [
    "EVERYWHERE",
    "Consequence",
    "Decision",
    "Event",
    "EventKind",
    "Override",
    "Policy",
    "PolicySettings",
    "Rules",
    "Standing",
    "Suppression",
    "Threshold",
    "judge",
]
