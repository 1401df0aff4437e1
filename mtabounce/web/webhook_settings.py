"""The sections [webhooks.NAME]: who may post there, and how it is read."""

from typing import Annotated, Any, Literal

from pydantic import Field

from mtabounce.config import SecretFile, Section, Size
from mtabounce.config.values import Words


class WebhookSettings(Section):
    """One webhook. Its name is the last part of its URL; without a secret it is off."""

    provider: str | None = Field(
        default=None,
        description="The provider whose events come here. Absent: the section's own name.",
    )
    secret_files: tuple[SecretFile, ...] = Field(
        default=(),
        description="Files with the signing secret or the public key; two while you change it.",
    )
    username: str = Field(default="", description="The user name of HTTP basic authentication.")
    password_file: SecretFile | None = Field(
        default=None, description="A file with the password of HTTP basic authentication."
    )
    old_password_file: SecretFile | None = Field(
        default=None, description="The previous password, which stays good while you change it."
    )
    token_files: tuple[SecretFile, ...] = Field(
        default=(),
        description="Files with a token that stands in the URL (?token=), or in a header.",
    )
    topic_arns: tuple[str, ...] = Field(
        default=(), description="SES and Scaleway: the SNS topics whose messages are taken."
    )
    url: str = Field(
        default="", description="Mandrill: the URL exactly as it stands there, for its signature."
    )
    auth: Literal["none"] | None = Field(
        default=None,
        description='Written out as "none", it takes events from anybody: for tests only.',
    )
    max_size: Size = Field(default=10 * 2**20, description="The largest body that is taken.")
    table: Annotated[dict[str, Any], Words("table")] = Field(
        default={},
        description="How its events are to be read, in the keys of a provider's table; see"
        " docs/webhooks.md. What is left out is as in ours.",
    )

    def is_on(self) -> bool:
        """Whether a request can prove that it is the provider's, or need not."""
        proofs = (self.secret_files, self.password_file, self.token_files, self.topic_arns)
        return any(proofs) or self.auth == "none"

    def shows_its_secret(self) -> bool:
        """Whether a request proves itself by a secret in it, which is kept nowhere."""
        return bool(self.password_file or self.token_files)

    def passwords(self) -> list[str]:
        """Return the passwords of HTTP basic authentication that are good now."""
        both = (self.password_file, self.old_password_file)
        return [one.get_secret_value() for one in both if one]
