"""``[[sink]]``: whom to tell, and of what."""

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
    events: list[Literal["suppressed", "lifted", "bounce"]] = Field(
        default_factory=list,
        description="What it is told: suppressed, lifted, bounce.  Absent: what suits its kind.",
    )
    timeout: Duration = Field(
        default=timedelta(seconds=15), description="How long one attempt may take."
    )

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        for name in _NEEDS[self.kind]:
            if not getattr(self, name):
                raise ValueError(f"a sink of kind {self.kind} needs {name}")
        return self

    @property
    def title(self) -> str:
        """What it is called in the outbox."""
        return self.name or self.kind
