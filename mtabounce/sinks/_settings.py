"""``[[sink]]``: whom to tell, and of what; and what a way of telling declares."""

import base64
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from mtabounce.config import Duration, SecretFile, Section
from mtabounce.registry import discover, names
from mtabounce.store.outbox import Message

EVENTS = ("suppressed", "lifted", "bounce", "incident")
_KINDS = names(__package__)


@dataclass(frozen=True, slots=True)
class Kind:
    """
    A way of telling: *send* returns once the other side has it, and raises NotTaken.

    *needs* are the settings without which it cannot, *events* those that it can do something with;
    *check* raises ValueError where the settings are wrong; None: nothing else can be.
    """

    send: Callable[["SinkSettings", Message], Awaitable[None]]
    needs: tuple[str, ...]
    events: tuple[str, ...] = EVENTS
    check: Callable[["SinkSettings"], None] | None = None


@cache
def kinds() -> dict[str, Kind]:
    """Return all ways of telling, by their names."""
    return discover(__package__, Kind)


def _known(kind: str) -> str:
    if kind not in _KINDS:
        raise ValueError(f"there is no kind '{kind}' of sink: write one of {', '.join(_KINDS)}")
    return kind


class SinkSettings(Section):
    """Somebody to be told what happened to addresses."""

    kind: Annotated[str, AfterValidator(_known)] = Field(
        description=f"How it is told, one of: {', '.join(_KINDS)}."
    )
    name: str = Field(default="", description="What it is called here. Absent: its kind.")
    url: str = Field(default="", pattern=r"^(https?://.+)?$", description="Where it is, by HTTP.")
    secret_file: SecretFile | None = Field(
        default=None, description="A file with the secret that signs a webhook: whsec_ and base64."
    )
    username: str = Field(default="", description="Who we are there.")
    password_file: SecretFile | None = Field(
        default=None, description="A file with the password, or the token."
    )
    command: list[str] = Field(
        default_factory=list,
        description="The program and arguments of a command; it gets JSON, and takes it by exit 0.",
    )
    events: list[Literal["suppressed", "lifted", "bounce", "incident"]] = Field(
        default_factory=list,
        description="What it is told: suppressed, lifted, bounce, incident (one begins: you are"
        " blocked, or hard bounces jump; or somebody confirmed or reverted it). Absent: all that"
        " its kind can use.",
    )
    timeout: Duration = Field(
        default=timedelta(seconds=15), description="How long one attempt may take."
    )

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        kind = kinds()[self.kind]
        for name in kind.needs:
            if not getattr(self, name):
                raise ValueError(f"a sink of kind {self.kind} needs {name}")
        for event in self.events:
            if event not in kind.events:
                raise ValueError(
                    f"a sink of kind {self.kind} takes {' and '.join(kind.events)} only"
                )
        if kind.check:
            kind.check(self)
        return self

    @property
    def told(self) -> Sequence[str]:
        """Of which events it is told."""
        return self.events or kinds()[self.kind].events

    @property
    def title(self) -> str:
        """What it is called in the outbox."""
        return self.name or self.kind

    @property
    def login(self) -> str:
        """Name and password as HTTP has them (RFC 7617)."""
        secret = self.password_file.get_secret_value() if self.password_file else ""
        return base64.b64encode(f"{self.username}:{secret}".encode()).decode()

    def shown(self, text: str) -> str:
        """Return *text* of the other side without our secrets: it may repeat what it was told."""
        url, files = urlsplit(self.url), (self.secret_file, self.password_file)
        secrets = (file.get_secret_value() for file in files if file)
        for secret in filter(None, (url.query, url.password, self.login, *secrets)):
            text = text.replace(secret, "***")
        return text
