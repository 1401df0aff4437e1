"""``[[sink]]``: whom to tell, and of what."""

import base64
import binascii
from collections.abc import Sequence
from datetime import timedelta
from typing import Literal, Self

from pydantic import Field, model_validator

from mtabounce.config import Duration, SecretFile, Section

_NEEDS = {
    "webhook": ("url", "secret_file"),
    "command": ("command",),
    "listmonk": ("url", "username", "password_file"),
    "mautic": ("url", "username", "password_file"),
    "mailman3": ("url", "username", "password_file"),
}
_ALL = ("suppressed", "lifted", "bounce", "incident")
_EVENTS = {  # what each can do something with
    "webhook": _ALL,
    "command": _ALL,
    "listmonk": ("suppressed",),
    "mautic": ("suppressed", "lifted"),
    "mailman3": ("suppressed", "lifted"),
}


def signing_key(secret: SecretFile | None) -> bytes:
    """
    Return the bytes of a secret that signs webhooks; one that is no base64 is taken as it is.

    Raises ValueError where it says whsec_ and no base64 follows: nobody else could verify it.
    """
    text = secret.get_secret_value() if secret else ""
    try:
        return base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        if text.startswith("whsec_"):
            raise ValueError("the secret of secret_file has no base64 after whsec_") from None
        return text.encode()


class SinkSettings(Section):
    """Somebody to be told what happened to addresses."""

    kind: Literal["webhook", "command", "listmonk", "mautic", "mailman3"] = Field(
        description="How: webhook (signed), command, listmonk, mautic or mailman3."
    )
    name: str = Field(default="", description="What it is called here.  Absent: its kind.")
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
        " blocked, or hard bounces jump; or somebody confirmed or reverted it).  Absent: all that"
        " its kind can do something with.",
    )
    timeout: Duration = Field(
        default=timedelta(seconds=15), description="How long one attempt may take."
    )

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        for name in _NEEDS[self.kind]:
            if not getattr(self, name):
                raise ValueError(f"a sink of kind {self.kind} needs {name}")
        for event in self.events:
            if event not in (known := _EVENTS[self.kind]):
                raise ValueError(f"a sink of kind {self.kind} takes {' and '.join(known)} only")
        if self.kind == "webhook":
            signing_key(self.secret_file)
        return self

    @property
    def told(self) -> Sequence[str]:
        """Of which events it is told."""
        return self.events or _EVENTS[self.kind]

    @property
    def title(self) -> str:
        """What it is called in the outbox."""
        return self.name or self.kind
