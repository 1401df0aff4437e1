"""
Webhooks of ESPs: ``POST /webhooks/service/NAME``.

Limit, verify, make durable, answer 200; what the events say is read later. Every failure to
authenticate is 401, 503 is our own trouble only, and an event that is of no use is not an error.
"""

import asyncio
import hashlib
import json
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from prometheus_client import Counter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from mtabounce.config import SecretFile, Section, Size
from mtabounce.errors import ConfigError, StoreUnavailable, TryAgainLater
from mtabounce.model import RawInput
from mtabounce.pipeline.judge import WEBHOOK
from mtabounce.providers import Provider, discover, provider
from mtabounce.providers.request import pack
from mtabounce.web import signatures
from mtabounce.web.request import Posted, Refused, read_request
from mtabounce.web.sns import Fetch, Sns, is_envelope, unknown_topic
from mtabounce.web.spool import Spool

REQUESTS = Counter(
    "mtabounce_webhook_requests_total", "Requests to webhooks.", ["webhook", "result"]
)
PATIENCE = 2.0  # seconds for the database; some ESPs wait three
RETRY_AFTER = {"Retry-After": "30"}
CHALLENGE = {"WWW-Authenticate": 'Basic realm="mtabounce"'}  # SNS waits for it
_REMEMBERED = 100_000  # tokens that are good for one request
log = logging.getLogger(__name__)

Accept = Callable[[RawInput], Awaitable[None]]


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

    def is_on(self) -> bool:
        """Whether anybody can prove to be the provider."""
        proofs = (self.secret_files, self.password_file, self.token_files, self.topic_arns)
        return any(proofs) or self.auth == "none"


def providers_of(webhooks: Mapping[str, WebhookSettings]) -> dict[str, Provider]:
    """
    Return the provider of each webhook, by the webhook's name.

    Raises ConfigError where a section names a provider that there is not.
    """
    return {name: provider(one.provider or name) for name, one in webhooks.items()}


@dataclass(slots=True)
class Seen:
    """When a webhook last took and last refused something, and why."""

    accepted_at: datetime | None = None
    refused_at: datetime | None = None
    why: str = ""


class Webhook:
    """One webhook: who may post, and what becomes of it."""

    def __init__(
        self, name: str, settings: WebhookSettings, accept: Accept, fetch: Fetch | None = None
    ) -> None:
        self.name = name
        self.settings = settings
        self.provider = provider(settings.provider or name)
        self.seen = Seen()
        self._accept = accept
        self._sns = Sns(settings.topic_arns, fetch)
        self._tokens: OrderedDict[str, bytes] = OrderedDict()
        self._table = dict(self.provider.table.auth) | {"url": settings.url}
        self._secrets = [one.get_secret_value() for one in settings.secret_files]

    async def take(self, posted: Posted) -> dict[str, Any]:
        """
        Verify *posted* and make it durable; return the answer.

        Raises Refused, or TryAgainLater where it cannot be made durable.
        """
        answer = self._handshake(posted)
        await self._verify(posted, datetime.now(UTC))
        if answer is not None:
            return answer
        await self._accept(
            RawInput(
                source=f"{WEBHOOK}{self.name}",
                content=pack(posted.headers, posted.body),
                received_at=datetime.now(UTC),
                peer=posted.peer,
                trusted=self.settings.auth != "none",
            )
        )
        return {"data": True}

    async def _verify(self, posted: Posted, now: datetime) -> None:
        settings = self.settings
        if not settings.is_on():
            raise Refused(400, "Unknown service.")
        if settings.password_file:
            signatures.basic(settings.username, [settings.password_file.get_secret_value()], posted)
        if settings.token_files:
            tokens = [one.get_secret_value() for one in settings.token_files]
            signatures.token(self._table, tokens, posted)
        if self._secrets:
            self._verify_signature(posted, now)
        if settings.topic_arns:
            await self._verify_sns(posted, now)

    def _verify_signature(self, posted: Posted, now: datetime) -> None:
        check = signatures.VERIFY.get(str(self._table.get("kind")))
        if check is None:
            signatures.token(self._table, self._secrets, posted)
            return
        check(self._table, self._secrets, posted, now)
        if self._table.get("once"):
            self._check_once(posted)

    async def _verify_sns(self, posted: Posted, now: datetime) -> None:
        others = self.settings.password_file or self.settings.token_files
        if is_envelope(posted) or not others:  # raw delivery is not signed
            await self._sns.verify(posted, self.name, now)

    def _check_once(self, posted: Posted) -> None:
        """Let a signature that leaves out the body be good for one body only."""
        mark = signatures.mark_of(self._table, posted)
        body = hashlib.sha256(posted.body).digest()
        if self._tokens.setdefault(mark, body) != body:
            signatures.refuse("the signature was used before, for another body")
        if len(self._tokens) > _REMEMBERED:
            self._tokens.popitem(last=False)

    def _handshake(self, posted: Posted) -> dict[str, Any] | None:
        """Return the answer to Event Grid's question whether we want its events."""
        if self._table.get("handshake") != "azure":
            return None
        try:
            document = json.loads(posted.body)
        except (ValueError, RecursionError):
            return None
        first = document[0] if isinstance(document, list) and document else document
        if not isinstance(first, dict) or not isinstance(first.get("data"), dict):
            return None
        if first.get("eventType") != "Microsoft.EventGrid.SubscriptionValidationEvent":
            return None
        return {"validationResponse": str(first["data"].get("validationCode", ""))[:200]}


class Webhooks:
    """All webhooks, and the routes to them."""

    def __init__(
        self,
        settings: Mapping[str, WebhookSettings],
        accept: Accept,
        spool: Spool,
        fetch: Fetch | None = None,
    ) -> None:
        self._inbox = accept
        self._spool = spool
        self.all = {name: Webhook(name, one, self.durable, fetch) for name, one in settings.items()}

    def routes(self) -> list[Route]:
        """Return the routes."""
        path = "/webhooks/service/{name}"
        return [
            Route(path, self._post, methods=["POST"]),
            Route(path, self._get, methods=["GET", "HEAD", "OPTIONS"]),
        ]

    async def durable(self, raw: RawInput) -> None:
        """Return once *raw* is committed, or on disk where the database is away."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._inbox(raw)
        except (StoreUnavailable, TimeoutError):
            await self._spool.keep(raw)

    async def _post(self, request: Request) -> Response:
        name = request.path_params["name"]
        webhook = self.all.get(name)
        try:
            posted = await read_request(request, webhook.settings.max_size if webhook else 2**18)
            if webhook is None:
                _tell_of_topic(name, posted)
                return _message("Unknown service.", 400)
            answer = await webhook.take(posted)
        except Refused as error:
            return self._refused(webhook, error)
        except TryAgainLater as error:
            log.warning("webhook %s: %s", webhook.name if webhook else "?", error)
            REQUESTS.labels(webhook.name if webhook else "", "not_durable").inc()
            return _message("try again later", 503, RETRY_AFTER)
        webhook.seen.accepted_at = datetime.now(UTC)
        REQUESTS.labels(webhook.name, "accepted").inc()
        return JSONResponse(answer)

    def _refused(self, webhook: Webhook | None, error: Refused) -> Response:
        if webhook is not None:
            webhook.seen.refused_at, webhook.seen.why = datetime.now(UTC), str(error)
            log.warning("webhook %s: refused: %s", webhook.name, error)
        REQUESTS.labels(webhook.name if webhook else "", "refused").inc()
        told = "unauthorized" if error.status == 401 else str(error)
        extra = {401: CHALLENGE, 503: RETRY_AFTER}.get(error.status)
        return _message(told, error.status, extra)

    async def _get(self, request: Request) -> Response:
        """Say what this is: providers probe with GET and HEAD, people with a browser."""
        name = request.path_params["name"]
        webhook = self.all.get(name)
        if origin := request.headers.get("webhook-request-origin"):
            return Response(headers={"WebHook-Allowed-Origin": origin[:255]})
        if webhook is None or not webhook.settings.is_on():
            known = "has no secret yet" if webhook or name in discover() else "is not known"
            return PlainTextResponse(f"mtabounce: this webhook {known}.\n")
        title = webhook.provider.title
        when = _ago(webhook.seen.accepted_at)
        return PlainTextResponse(f"mtabounce: the webhook for {title}. It takes POST; {when}.\n")


def _ago(at: datetime | None) -> str:
    if at is None:
        return "nothing accepted since the start"
    return f"last accepted {int((datetime.now(UTC) - at).total_seconds() // 60)} min ago"


def _tell_of_topic(name: str, posted: Posted) -> None:
    """Somebody subscribed a topic before the section was written: say what to write."""
    if name in discover() and is_envelope(posted):
        topic = json.loads(posted.body).get("TopicArn")
        log.warning("%s", unknown_topic(name, topic if isinstance(topic, str) else ""))


def _message(text: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"message": text}, status, headers)


def check(settings: Mapping[str, WebhookSettings]) -> None:
    """Raise ConfigError where a webhook can never work."""
    for name, one in settings.items():
        whose = provider(one.provider or name)
        if one.username and not one.password_file:
            raise ConfigError(f"[webhooks.{name}] username needs a password_file")
        if whose.table.auth.get("kind") == "mandrill" and one.secret_files and not one.url:
            raise ConfigError(f"[webhooks.{name}] url must be the URL as it stands at Mandrill")
