"""How the workers, return paths and what is kept are set up."""

import re
from datetime import datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from mtabounce.address import parsed_domain
from mtabounce.config import Duration, SecretFile, Section, Size
from mtabounce.verp import ALPHABET, LONGEST_LIFE, Keyring

Raw = Literal["full", "headers", "none"]  # what is kept of an input that was read
KEPT_BY = {  # the setting for each table, in the order in which their rows go
    "bounces": "bounces",
    "observations": "bounces",
    "bounce_refs": "bounces",
    "incident_bounces": "bounces",
    "inputs": "inputs",
    "webhook_signatures": "inputs",
    "decisions": "decisions",
    "delivery_stats": "delivery_stats",
    "outbox": "outbox",
    "webhook_refusals": "webhook_refusals",
    "return_paths": "return_paths",
    "pending_deliveries": "pending_deliveries",
    "recipients": "decisions",
}
_SHORTEST_SECRET = 16  # characters
_MOST_KEYS = 8
_DAY = timedelta(days=1)


class WorkerSettings(Section):
    """The workers: processes that read inputs, and what one input may cost."""

    processes: int = Field(
        default=0,
        ge=0,
        le=256,
        description="How many read inputs at once; 0: one a processor core.",
    )
    batch: int = Field(
        default=100,
        ge=1,
        le=10_000,
        description="Inputs that one transaction takes from the inbox.",
    )
    deadline: Duration = Field(
        default=timedelta(seconds=5),
        gt=timedelta(0),
        description="How long one input may take to be read; then it has failed.",
    )
    memory: Size = Field(
        default=512 * 2**20, ge=2**26, description="Memory that reading may take in one process."
    )


def _key_id(text: str) -> str:
    if len(text) != 1 or text not in ALPHABET:
        raise ValueError(f'expected one letter a to z or digit 2 to 7, found "{text}"')
    return text


def _domain(text: str) -> str:
    try:
        domain = parsed_domain(f"b@{text}")
    except ValueError:
        domain = ""
    if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)*", domain):
        raise ValueError(f'expected a domain such as "bounces.example.org", found "{text}"')
    return domain


class KeySettings(Section):
    """A key for signed return paths."""

    id: Annotated[str, AfterValidator(_key_id)] = Field(
        description="One letter a to z, or digit 2 to 7, that no other key has had lately."
    )
    secret_file: SecretFile = Field(
        description="A file with the secret; mtabounce return-path keys new FILE makes one."
    )


class ReturnPathSettings(Section):
    """Return paths (MAIL FROM) that are signed: a bounce to one proves itself."""

    domain: Annotated[str, AfterValidator(_domain)] | None = Field(
        default=None, description='The domain they are in, such as "bounces.example.org".'
    )
    require_signed: bool = Field(
        default=False, description="Whether the receiver refuses mail to all other addresses."
    )
    lifetime: Duration = Field(
        default=timedelta(days=40),
        ge=timedelta(days=1),
        le=timedelta(days=LONGEST_LIFE),
        description="For how long one proves something, in whole days. Mail is tried for five.",
    )
    keys: list[KeySettings] = Field(
        default=[],
        max_length=_MOST_KEYS,
        description="The first one signs, all are believed. Put a new one first, and take an old"
        " one away when its return paths have expired.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        ids = [key.id for key in self.keys]
        for key in self.keys:
            if len(key.secret_file.get_secret_value()) < _SHORTEST_SECRET:
                raise ValueError(
                    f"the secret in {key.secret_file} has fewer than {_SHORTEST_SECRET}"
                    " characters: make one with: mtabounce return-path keys new FILE"
                )
        if len(set(ids)) < len(ids):
            raise ValueError("two keys have the same id")
        if self.keys and self.domain is None:
            raise ValueError("domain is missing: signed return paths are in a domain")
        if self.require_signed and not self.keys:
            raise ValueError("require_signed needs keys")
        return self

    def ring(self) -> Keyring:
        """Return the keys as they are used; none where no key is set."""
        keys = {key.id: key.secret_file.get_secret_value().encode() for key in self.keys}
        return Keyring(self.domain or "", keys, self.lifetime.days)


class RetentionSettings(Section):
    """How long things are kept; "0s": for ever. Suppressions stay as long as they hold."""

    inputs: Duration = Field(
        default=30 * _DAY,
        description="Mails and requests as they were received. What waits to be read stays.",
    )
    raw: Raw = Field(
        default="full",
        description="What is kept of an input once it was read: all of it, its headers and the"
        " report in it, or nothing. What could not be read is kept whole. Only whole inputs can be"
        " judged again by mtabounce reprocess.",
    )
    bounces: Duration = Field(
        default=400 * _DAY,
        description="Bounces and their observations; they go month by month.",
    )
    decisions: Duration = Field(
        default=800 * _DAY,
        description="What policy decided, and addresses of which nothing else is left. What"
        " operators said stays. At least as long as bounces.",
    )
    delivery_stats: Duration = Field(default=800 * _DAY, description="How deliveries went.")
    outbox: Duration = Field(
        default=30 * _DAY, description="What others were told, or did not take."
    )
    webhook_refusals: Duration = Field(
        default=30 * _DAY, description="Requests to webhooks that were refused."
    )
    return_paths: Duration = Field(
        default=400 * _DAY,
        description="Whom return paths were made for. At least as long as return paths are good.",
    )
    pending_deliveries: Duration = Field(
        default=30 * _DAY, description="Who waits in the queue of an MTA, where its log ends."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.decisions and (not self.bounces or self.decisions < self.bounces):
            raise ValueError("decisions must be kept at least as long as bounces")
        return self

    def before(self, table: str, now: datetime) -> datetime | None:
        """Return the moment from before which rows of *table* go; None: none go."""
        age: timedelta = getattr(self, KEPT_BY[table])
        return now - age if age else None


class SentMailSettings(Section):
    """
    Whom mails went to, as logs tell, so that complaints can be assigned that hide who complained.

    Only a mail that went to one recipient alone tells who it was, and that proves nothing: whether
    such a complaint counts depends on its return path and [policy] min_trust, as for any other.
    """

    days: int = Field(
        default=0,
        ge=0,
        le=400,
        description="Days for which the Message-ID and the recipient of each delivery in a log are"
        " kept, a row each; 0: they are not, and what was kept is deleted within the hour.",
    )
