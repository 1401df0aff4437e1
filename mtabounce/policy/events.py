"""What policy is asked about, by which rules, and what it answers: values, no judgement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mtabounce.model import BounceType, Fault, Trust
from mtabounce.policy.threshold import Consequence, Threshold

EVERYWHERE = "all"  # the scope of a suppression that holds for every list and campaign


class EventKind(StrEnum):
    """What can happen to an address; of things at the same moment, the first counts first."""

    BOUNCE = "bounce"
    DELIVERED = "delivered"
    KEPT = "kept"  # what was decided, of which the bounces are no longer kept
    ADDED = "added"  # by an operator or an import
    REMOVED = "removed"  # by an operator: what happened before is forgiven, or what is named


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened to an address."""

    kind: EventKind
    at: datetime
    id: int = 0  # of the bounce, or of the operator's decision
    message: str = ""  # what tells one message from another; "" stands for one of its own
    type: BounceType | None = None  # of a bounce, as are those below
    reason: str = ""
    fault: Fault | None = None
    trust: Trust = Trust.CLAIMED
    campaign: str = ""
    list_id: str = ""
    sender: str = ""  # domain that the message was from
    is_local: bool = False  # the recipient is a name without a domain
    was_taken: bool = False  # its server took the message first: that it takes others says nothing
    incident: int | None = None  # that holds it back
    until: datetime | None = None  # of what an operator added; None: for good
    forgives: tuple[int, ...] = ()  # bounces that an operator named
    undoes: tuple[int, ...] = ()  # additions, and what was kept, that an operator named
    rests_on: tuple[int, ...] = ()  # bounces of what is kept, as are cause and action
    cause: str = ""
    action: Consequence = Consequence.BLOCKLIST
    covers: str = EVERYWHERE

    @property
    def scope(self) -> str:
        """What an unsubscription because of this covers."""
        if self.list_id:
            return f"list:{self.list_id}"
        return f"campaign:{self.campaign}" if self.campaign else EVERYWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The thresholds, and what evidence counts."""

    thresholds: Mapping[BounceType, Threshold]
    min_trust: Trust = Trust.LIKELY


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """Other rules for what a message was, or where it went; "" leaves a condition out."""

    rules: Rules
    campaign: str = ""
    list_id: str = ""
    sender: str = ""

    def fits(self, event: Event) -> bool:
        """Tell whether *event* is what this is for."""
        return all(
            wanted in {"", given}
            for wanted, given in (
                (self.campaign, event.campaign),
                (self.list_id, event.list_id),
                (self.sender, event.sender),
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules for one address: overrides first, in order, then those for all."""

    rules: Rules
    overrides: Sequence[Override] = ()

    def rules_for(self, event: Event) -> Rules:
        """Return the rules that *event* is judged by."""
        fitting = (override.rules for override in self.overrides if override.fits(event))
        return next(fitting, self.rules)

    def is_cleared(self, event: Event) -> bool:
        """Tell whether a proven delivery after *event* lets it count no more."""
        if event.kind is EventKind.KEPT:
            return event.cause in {"soft", "hold"} and event.type is not BounceType.COMPLAINT
        if event.kind is not EventKind.BOUNCE or event.was_taken:
            return False
        if event.type is BounceType.HARD:  # where the first is but a hold, a doubt is allowed for
            return self.rules_for(event).thresholds[BounceType.HARD].hold is not None
        return event.type is BounceType.SOFT


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """An address is not mailed."""

    type: BounceType | None  # None: an operator's word
    reason: str
    cause: str  # hard, soft, complaint, hold, or manual
    scope: str
    since: datetime
    until: datetime | None  # None: for good
    bounce_id: int | None
    action: Consequence = Consequence.BLOCKLIST


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What policy made of one event, and why, in words."""

    at: datetime
    action: str  # suppress, lift, clear, none
    why: str
    scope: str = EVERYWHERE
    bounces: tuple[int, ...] = ()
    event: Event | None = None  # None: time passed
    settings: str = ""  # the threshold that it was held against, in words; "": none was


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where an address stands: what suppresses it now, by scope, and how that came."""

    suppressions: Mapping[str, Suppression]
    decisions: Sequence[Decision]
