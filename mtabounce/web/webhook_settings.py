"""The sections [webhooks.NAME]: who may post there, and how it is read."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from mtabounce.classify.reasons import SHIPPED, did_you_mean, load_reasons
from mtabounce.config import SecretFile, Section, Size
from mtabounce.config.values import Words
from mtabounce.errors import ConfigError
from mtabounce.providers import EVENTS, Provider, Table, provider
from mtabounce.web.proofs import check_table
from mtabounce.web.signatures import checker


class WebhookSettings(Section):
    """One webhook. Its name is the last part of its URL; without a secret it is off."""

    provider: str | None = Field(
        default=None,
        description="Whose events come: the name of a provider. Absent: the section's own name.",
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
        default=None, description="The password before it, which is good, too, while you change it."
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
        description="How you read its events, in the keys of a provider's table: instead of ours.",
    )

    def is_on(self) -> bool:
        """Whether anybody can prove to be the provider."""
        proofs = (self.secret_files, self.password_file, self.token_files, self.topic_arns)
        return any(proofs) or self.auth == "none"

    def shows_its_secret(self) -> bool:
        """Whether a request proves itself by a secret in it, which is kept nowhere."""
        return bool(self.password_file or self.token_files)

    def passwords(self) -> list[str]:
        """Return the passwords of HTTP basic authentication that are good now."""
        both = (self.password_file, self.old_password_file)
        return [one.get_secret_value() for one in both if one]


def provider_of(name: str, one: WebhookSettings) -> Provider:
    """
    Return the provider of the webhook *name*, with the user's own table before ours.

    Raises ConfigError where there is none, or the table is wrong.
    """
    try:
        return provider(one.provider or name, one.table)
    except ConfigError as error:
        raise ConfigError(f"[webhooks.{name}] {error}") from None


def providers_of(webhooks: Mapping[str, WebhookSettings]) -> dict[str, Provider]:
    """
    Return the provider of each webhook, by the webhook's name.

    Raises ConfigError where a section names a provider that there is not.
    """
    return {name: provider_of(name, one) for name, one in webhooks.items()}


def check(settings: Mapping[str, WebhookSettings]) -> None:
    """Raise ConfigError where a webhook can never work."""
    for name, one in settings.items():
        whose = provider_of(name, one).table
        table = whose.auth
        wrong = check_table(table) or _wrong(one, table) or _unreadable(one, table)
        if wrong := wrong or _unknown(whose):
            raise ConfigError(f"[webhooks.{name}] {wrong}")


def _wrong(one: WebhookSettings, table: Mapping[str, Any]) -> str:
    if one.username and not one.password_file:
        return "username needs a password_file"
    if one.password_file and not one.username:
        return "password_file needs a username"
    if one.old_password_file and not one.password_file:
        return "old_password_file needs a password_file"
    if table.get("kind") == "mandrill" and one.secret_files and not one.url:
        return "url must be the URL as it stands at Mandrill"
    if one.topic_arns and table.get("kind") != "sns":
        return "topic_arns are of SES and Scaleway only"
    if table.get("kind") == "sns" and one.secret_files:
        return "SNS signs with keys of its own: set topic_arns instead of secret_files"
    return ""


def _unreadable(one: WebhookSettings, table: Mapping[str, Any]) -> str:
    secrets = [secret.get_secret_value() for secret in one.secret_files]
    try:
        checker({**table, "url": one.url}, secrets)
    except ConfigError as error:
        return str(error)
    return ""


def _unknown(table: Table) -> str:
    known = dict.fromkeys([*EVENTS, *load_reasons(SHIPPED)])
    for pattern, word in table.events:
        if word not in known:
            return f"events: '{pattern}' cannot be '{word}'{did_you_mean(word, known)}"
    return ""
