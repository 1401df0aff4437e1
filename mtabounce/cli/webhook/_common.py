"""What the commands on one's own webhooks share."""

import re
from pathlib import Path

from mtabounce.config import ListenAddress
from mtabounce.errors import UsageError
from mtabounce.model import RawInput
from mtabounce.providers import discover
from mtabounce.settings import Settings, load_settings
from mtabounce.web.http_settings import HttpSettings
from mtabounce.web.webhook_providers import check
from mtabounce.web.webhook_settings import WebhookSettings
from mtabounce.web.webhooks import PATH

_SECRET = re.compile(
    r'(["\']?[\w-]*(?:token|secret|password|api[_-]?key|signature|auth)["\']?\s*[:=]\s*["\']?)'
    r'([^"\'&,;\s{}]{4,})',
    re.IGNORECASE,
)


def checked_settings(config: Path | None) -> Settings:
    """Return the settings. Raises ConfigError where one of them, or a webhook, is wrong."""
    settings = load_settings(config)
    check(settings.webhooks)
    return settings


def webhook_of(settings: Settings, name: str) -> WebhookSettings:
    """Return the section of the webhook *name*. Raises UsageError where there is none."""
    if one := settings.webhooks.get(name):
        return one
    known = ", ".join(settings.webhooks) or "none"
    told = f"; see `mtabounce webhook doctor {name}`" if name in discover() else ""
    raise UsageError(f"there is no section [webhooks.{name}]; there are: {known}{told}")


def url_of(http: HttpSettings, name: str) -> str:
    """Return where the webhook *name* is reached on this host; "" with a Unix socket."""
    return "" if http.listen.path else f"{_base(http)}{PATH}{name}"


def _base(http: HttpSettings) -> str:
    scheme = "https" if http.tls_certificate_file else "http"
    return f"{scheme}://{ListenAddress(http.listen.local_host, http.listen.port)}"


async def nowhere(raw: RawInput) -> None:
    """Take nothing, where a webhook is only asked."""


def masked(text: str) -> str:
    """Return *text* with the values of what looks like a secret masked."""
    return _SECRET.sub(r"\1***", text)
