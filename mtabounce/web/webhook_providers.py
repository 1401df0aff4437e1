"""The provider behind each section [webhooks.NAME], and whether the section can ever work."""

from collections.abc import Mapping
from typing import Any

from mtabounce.errors import ConfigError
from mtabounce.providers import EVENTS, Provider, Table, provider
from mtabounce.reasons import SHIPPED, did_you_mean, load_reasons
from mtabounce.web.proofs import check_table
from mtabounce.web.signatures import checker
from mtabounce.web.webhook_settings import WebhookSettings


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

    Raises ConfigError where a section names an unknown provider.
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
