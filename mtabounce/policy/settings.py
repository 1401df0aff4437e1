"""``[policy]``: the thresholds as an operator writes them, over those of a preset."""

import re
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from itertools import dropwhile
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from mtabounce.address import domain_key
from mtabounce.config import Duration, Section
from mtabounce.model import BounceType, Trust
from mtabounce.policy.breaker import BreakerSettings
from mtabounce.policy.events import Override, Policy, Rules
from mtabounce.policy.threshold import Consequence, Threshold

_DOMAIN = re.compile(r"[^\s<>@.]+(\.[^\s<>@.]+)+")
_DAY = timedelta(days=1)
_ONE = Threshold()
_SOFT = Threshold(
    count=3,
    span=7 * _DAY,
    window=90 * _DAY,
    lasts=30 * _DAY,
    longest=180 * _DAY,
    probe=90 * _DAY,
)
PRESETS = {
    "standard": {BounceType.HARD: _ONE, BounceType.SOFT: _SOFT, BounceType.COMPLAINT: _ONE},
    "listmonk": {
        BounceType.HARD: _ONE,
        BounceType.SOFT: Threshold(count=2, action=Consequence.NONE),
        BounceType.COMPLAINT: _ONE,
    },
    "careful": {
        BounceType.HARD: Threshold(hold=7 * _DAY),
        BounceType.SOFT: _SOFT,
        BounceType.COMPLAINT: _ONE,
    },
}


class ThresholdSettings(Section):
    """When bounces of one type have a consequence. What is not set is as in the preset."""

    count: int | None = Field(
        default=None, ge=1, le=1000, description="How many different messages must have bounced."
    )
    action: Consequence | None = Field(
        default=None,
        description="What follows: none, unsubscribe (from its list, whose bounces alone count for"
        " it, or else from its campaign), blocklist, delete (as blocklist; besides, a sink of kind"
        " listmonk deletes the subscriber there, and webhooks and commands are told of it)."
        " Bounces of which none follows count for nothing else.",
    )
    span: Duration | None = Field(
        default=None, description="How much time must lie between the first and the last of them."
    )
    window: Duration | None = Field(
        default=None, description="How long a bounce counts. Absent: for good, or as in the preset."
    )
    hold: Duration | None = Field(
        default=None,
        description="How long the first is only held, until another message confirms it. A delivery"
        " after that lifts it, whether it was confirmed or not.",
    )
    lasts: Duration | None = Field(
        default=None,
        description="How long the suppression lasts the first time; then twice as long each time.",
    )
    longest: Duration | None = Field(
        default=None, description="How long it lasts at most, however often it happens."
    )
    probe: Duration | None = Field(
        default=None,
        description="How long after its end the address is watched: the first message that fails"
        ' suppresses it again, for longer. "0s": not at all.',
    )

    @field_validator("window", "hold", "lasts", "longest")
    @classmethod
    def _is_some_time(cls, given: timedelta | None) -> timedelta | None:
        if given is not None and not given:
            raise ValueError("must be longer than 0s: leave it out where it is not to be")
        return given

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        if self.span and self.window and self.span > self.window:
            raise ValueError("span is longer than window, so this could never be reached")
        if self.span and self.count == 1:
            raise ValueError("one message has no span: set count to 2 or more, or leave span out")
        return self

    def over(self, threshold: Threshold) -> Threshold:
        """Return *threshold* with what is said here."""
        said = {name: getattr(self, name) for name in self.model_fields_set}
        return replace(threshold, **said)


class OverrideSettings(Section):
    """Other thresholds for some mail. All that is named must fit."""

    campaign: str = Field(default="", description="Messages of this campaign.")
    list_id: str = Field(default="", description="Messages with this List-Id.")
    sender: str = Field(default="", description="Messages from this domain.")
    destination: str = Field(default="", description="Messages to addresses in this domain.")
    min_trust: Trust | None = Field(default=None, description="What evidence counts.")
    hard: ThresholdSettings = Field(default_factory=ThresholdSettings)
    soft: ThresholdSettings = Field(default_factory=ThresholdSettings)
    complaint: ThresholdSettings = Field(default_factory=ThresholdSettings)

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not self.conditions():
            raise ValueError("name a campaign, list_id, sender or destination that it is for")
        return self

    @field_validator("list_id")
    @classmethod
    def _is_a_list_id(cls, text: str) -> str:
        if text and not _DOMAIN.fullmatch(text):
            raise ValueError("is no List-Id (RFC 2919): write it as news.example.org, without < >")
        return text.lower()

    @field_validator("sender", "destination")
    @classmethod
    def _is_a_domain(cls, text: str) -> str:
        if text and not _DOMAIN.fullmatch(text):
            raise ValueError("is no domain: write example.org")
        return domain_key(text)

    def conditions(self) -> dict[str, str]:
        """Return what it is for, as it is compared."""
        named = {
            "campaign": self.campaign,
            "list_id": self.list_id,
            "sender": self.sender,
            "destination": self.destination,
        }
        return {name: value for name, value in named.items() if value}

    def covers(self, other: "OverrideSettings") -> bool:
        """Tell whether this fits all that *other* fits."""
        return self.conditions().items() <= other.conditions().items()

    def is_ambiguous_with(self, other: "OverrideSettings") -> bool:
        """Tell whether some mail fits both, and neither is for a part of the other's only."""
        mine, its = self.conditions(), other.conditions()
        shared = mine.keys() & its.keys()
        overlaps = all(mine[name] == its[name] for name in shared)
        return overlaps and not (self.covers(other) or other.covers(self))

    def __str__(self) -> str:
        """Say what it is for."""
        return " and ".join(f"{name} {value}" for name, value in self.conditions().items())


def _contradiction(threshold: Threshold) -> str:
    """Return which setting of *threshold* could never have an effect; "": all have."""
    if threshold.lasts and threshold.longest and threshold.lasts > threshold.longest:
        return "lasts is longer than longest"
    if not threshold.lasts and (threshold.longest or threshold.probe):
        return "longest and probe need lasts: without it a suppression is for good"
    if threshold.hold and threshold.lasts:
        return "hold and lasts exclude each other: what is held is suppressed for good, or not"
    return ""


class PolicySettings(Section):
    """Whom not to mail: how many bounces of which type have which consequence."""

    preset: Literal["standard", "listmonk", "careful"] = Field(
        default="standard",
        description=(
            "The thresholds to start from. standard: 1 hard, 3 soft over 7 days, 1 complaint; "
            "listmonk: 1 hard, 1 complaint, soft counted only; careful: a first hard is a hold."
        ),
    )
    min_trust: Trust = Field(
        default=Trust.LIKELY,
        description=(
            "What evidence counts: proven, likely or claimed; all is stored and shown. likely: it"
            " names a Message-ID or subscriber that only this recipient is known to have got. Where"
            " one Message-ID goes to many, as on lists, a member could know it: choose proven."
        ),
    )
    hard: ThresholdSettings = Field(default_factory=ThresholdSettings)
    soft: ThresholdSettings = Field(default_factory=ThresholdSettings)
    complaint: ThresholdSettings = Field(default_factory=ThresholdSettings)
    breaker: BreakerSettings = Field(default_factory=BreakerSettings)
    override: list[OverrideSettings] = Field(
        default_factory=list,
        description="Exceptions, the first that fits counts: narrower ones first.",
    )

    @model_validator(mode="after")
    def _can_all_be_reached(self) -> Self:
        for rules in (self.rules_of(), *map(self.rules_of, self.override)):
            for kind, threshold in rules.thresholds.items():
                if threshold.window is not None and threshold.span > threshold.window:
                    raise ValueError(
                        f"{kind}: span is longer than window, so it could never be reached"
                    )
                if fault := _contradiction(threshold):
                    raise ValueError(f"{kind}: {fault}")
        return self

    @model_validator(mode="after")
    def _overrides_are_clear(self) -> Self:
        for number, one in enumerate(self.override):
            for before in self.override[:number]:
                if before.covers(one):
                    raise ValueError(
                        f"the override for {one} could never be used: the one for {before}"
                        " comes first, and fits all that it does"
                    )
                if before.is_ambiguous_with(one) and not self._says(before, one, number):
                    raise ValueError(
                        f"the overrides for {before} and for {one} overlap: write one for mail"
                        " that both fit, before them"
                    )
        return self

    def _says(self, one: OverrideSettings, other: OverrideSettings, number: int) -> bool:
        """Tell whether an override before *number* is for just the mail that both fit."""
        both = one.conditions() | other.conditions()
        return any(known.conditions() == both for known in self.override[:number])

    def policy_for(self, domain: str) -> Policy:
        """Return the policy for addresses in *domain*."""
        fitting = [one for given, one in self._overrides if given in {"", domain}]
        return Policy(rules=self._for_all, overrides=fitting)

    def trusts(self) -> list[Trust]:
        """Return the trust of evidence that counts for some mail, from weakest to strongest."""
        asked = {self._for_all.min_trust, *(one.rules.min_trust for _, one in self._overrides)}
        return list(dropwhile(lambda trust: trust not in asked, Trust))

    @cached_property
    def _for_all(self) -> Rules:
        return self.rules_of()

    @cached_property
    def _overrides(self) -> list[tuple[str, Override]]:
        return [
            (
                one.destination,
                Override(
                    rules=self.rules_of(one),
                    campaign=one.campaign,
                    list_id=one.list_id,
                    sender=one.sender,
                ),
            )
            for one in self.override
        ]

    def rules_of(self, override: OverrideSettings | None = None) -> Rules:
        """Return the thresholds for what *override* is for; None: for all else."""
        layers = [self, override] if override else [self]
        thresholds = dict(PRESETS[self.preset])
        for layer in layers:
            for kind in BounceType:
                said: ThresholdSettings = getattr(layer, kind)
                thresholds[kind] = said.over(thresholds[kind])
        trust = override.min_trust if override else None
        return Rules(thresholds=thresholds, min_trust=trust or self.min_trust)
