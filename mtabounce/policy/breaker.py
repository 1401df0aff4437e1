"""
The circuit breaker: when many bounces of one kind are the fault of something else.

In December 2020 Gmail answered 550 5.1.1 for valid users for almost seven hours. So where hard
bounces of one operator and reason jump, they are held as an incident until an operator says what
they are; and where many are refused because of us, that is said.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from statistics import median

from pydantic import Field

from mtabounce.config import Duration, Section
from mtabounce.model import BounceType, Fault


class IncidentKind(StrEnum):
    """What an incident is about."""

    JUMP = "jump"  # of hard bounces: they are held
    BLOCKED = "blocked"  # we are: nobody is suppressed by that anyway


class BreakerSettings(Section):
    """When bounces of one operator and reason are too many to be true of so many addresses."""

    enabled: bool = Field(default=True, description="Whether hard bounces that jump are held.")
    at_least: int = Field(
        default=20, ge=2, description="How many recipients must have bounced within the window."
    )
    at_least_of_sender: int = Field(
        default=200,
        ge=2,
        description="How many, at all operators together, for hard bounces of one sender to be"
        " held: a list gone bad bounces everywhere.",
    )
    window: Duration = Field(
        default=timedelta(hours=1), description="The time within which they are counted."
    )
    factor: float = Field(
        default=5.0, gt=1, description="How many times as many as usual there must be."
    )
    share: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="What share of all attempts they must be, where logs tell of the others.",
    )
    history: Duration = Field(
        default=timedelta(days=14), description="How far back to look for what is usual."
    )


@dataclass(frozen=True, slots=True)
class Seen:
    """Bounces of one operator and reason."""

    recent: int  # recipients within the window
    hours: Sequence[int]  # bounces in each hour of the history that had any
    delivered: int  # to the same operator within the window; 0: not known


_BLOCKLISTS = (
    "Spamhaus", "SpamCop", "Barracuda", "SORBS", "UCEPROTECT", "Abusix", "Cloudmark", "Mailspike",
    "Invaluement", "Proofpoint", "PSBL", "NiXSpam", "SpamRATS", "SenderScore", "Talos", "Mimecast",
    "Backscatterer", "Hostkarma", "Trend Micro", "blocklist.de",
)  # fmt: skip


def blocked_by(said: str) -> str:
    """Return which blocklist a refusal names; "" where it names none."""
    text = said.lower()
    return next((name for name in _BLOCKLISTS if name.lower() in text), "")


def is_jump(seen: Seen, breaker: BreakerSettings) -> bool:
    """Tell whether *seen* is more than usual, and more than the addresses can be blamed for."""
    if seen.recent < breaker.at_least:
        return False
    hours = breaker.window / timedelta(hours=1)
    usual = median(seen.hours) * hours if seen.hours else 0
    if seen.recent <= usual * breaker.factor:
        return False
    attempts = seen.recent + seen.delivered
    return not seen.delivered or seen.recent / attempts > breaker.share


def kind_of(type_: BounceType | None, fault: Fault | None) -> IncidentKind | None:
    """Return which kind of incident many bounces of a type and fault are; None: none."""
    if fault is Fault.SENDER:
        return IncidentKind.BLOCKED
    if type_ is BounceType.HARD and fault in {Fault.RECIPIENT, Fault.DESTINATION}:
        return IncidentKind.JUMP
    return None
