"""All settings of mtabounce: the sections that live beside their users, in one class."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from mtabounce.config import Loaded, Section, load
from mtabounce.lookup_settings import LookupSettings
from mtabounce.model import HeaderNames
from mtabounce.pipeline.settings import (
    RetentionSettings,
    ReturnPathSettings,
    SentMailSettings,
    WorkerSettings,
)
from mtabounce.places import find
from mtabounce.policy import PolicySettings
from mtabounce.reasons import known_reason
from mtabounce.sinks import SinkSettings
from mtabounce.sources.log_settings import LogSettings
from mtabounce.sources.mailboxes import ImapSettings, Pop3Settings
from mtabounce.sources.pipe_settings import PipeSettings
from mtabounce.sources.receiver_settings import ReceiverSettings
from mtabounce.store.connection import DatabaseSettings
from mtabounce.store.state import StateSettings
from mtabounce.web.http_settings import HttpSettings
from mtabounce.web.listmonk_settings import ListmonkSettings
from mtabounce.web.webhook_settings import WebhookSettings


class HeaderSettings(Section):
    """Headers of your mails that tell campaign and subscriber. Any case; the first found counts."""

    campaign: tuple[str, ...] = Field(
        default=HeaderNames().campaign, description="Headers that name the campaign."
    )
    subscriber: tuple[str, ...] = Field(
        default=HeaderNames().subscriber, description="Headers that name the subscriber."
    )

    def names(self) -> HeaderNames:
        """Return them as the parsers take them."""
        return HeaderNames(campaign=self.campaign, subscriber=self.subscriber)


_Type = Literal["hard", "soft", "complaint", "none"]


class RuleSettings(Section):
    """Your own rules for what a reply means, beside those that come with the program."""

    folder: Path | None = Field(
        default=None, description="A folder of your own rule files (*.toml), which are tried first."
    )
    types: dict[Annotated[str, AfterValidator(known_reason)], _Type] = Field(
        default_factory=dict,
        description='Other types for reasons, such as { mailbox_full = "hard" }; "none" is no'
        " failure.",
    )


class Settings(Section):
    """The whole configuration."""

    state: StateSettings = Field(default_factory=StateSettings)
    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    receiver: ReceiverSettings = Field(default_factory=ReceiverSettings)
    return_path: ReturnPathSettings = Field(default_factory=ReturnPathSettings)
    pipe: PipeSettings = Field(default_factory=PipeSettings)
    pop3: list[Pop3Settings] = Field(default=[])
    imap: list[ImapSettings] = Field(default=[])
    http: HttpSettings = Field(default_factory=HttpSettings)
    listmonk: ListmonkSettings = Field(default_factory=ListmonkSettings)
    webhooks: dict[str, WebhookSettings] = Field(
        default_factory=dict, description="The webhooks of ESPs, by name: [webhooks.ses]."
    )
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    headers: HeaderSettings = Field(default_factory=HeaderSettings)
    rules: RuleSettings = Field(default_factory=RuleSettings)
    policy: PolicySettings = Field(default_factory=PolicySettings)
    lookup: LookupSettings = Field(default_factory=LookupSettings)
    sink: list[SinkSettings] = Field(default=[], description="Whom to tell what happened.")
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    sent_mail: SentMailSettings = Field(default_factory=SentMailSettings)
    log: tuple[LogSettings, ...] = Field(
        default=(), description="Logs of mail servers to follow, each a table of its own."
    )


def load_settings(path: Path | None, environ: Mapping[str, str] = os.environ) -> Settings:
    """
    Read the settings from *path*, or the first file that is there, and the environment.

    Raises ConfigError, with a line for each thing that is wrong.
    """
    return load_with_origins(path, environ).settings


def load_with_origins(
    path: Path | None, environ: Mapping[str, str] = os.environ
) -> Loaded[Settings]:
    """Do the same, and remember where each setting was said. Raises ConfigError likewise."""
    return load(Settings, find(path, environ), environ)
