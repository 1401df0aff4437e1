"""
Webhooks of ESPs: ``POST /webhooks/service/NAME``.

Limit, verify, make durable, answer 200; what the events say is read later. Every failure to
authenticate is 401, 503 is our own trouble only, and an event that is of no use is not an error.
"""

import json
import logging
from collections import defaultdict
from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime
from time import monotonic
from typing import Any, NoReturn

from prometheus_client import Counter
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mtabounce.errors import StoreUnavailable, TryAgainLater
from mtabounce.model import RawInput
from mtabounce.pipeline.inbox import Accept
from mtabounce.providers import discover
from mtabounce.web import signatures
from mtabounce.web.patience import Patience
from mtabounce.web.refusals import Hidden, Refusals, Seen
from mtabounce.web.request import (
    BODY_TIME,
    CHALLENGE,
    RETRY_AFTER,
    Posted,
    Refused,
    headers_of,
    peer_of,
    read,
)
from mtabounce.web.sns import Fetch, is_envelope, unknown_topic
from mtabounce.web.spool import Spool
from mtabounce.web.webhook import Memory, Webhook
from mtabounce.web.webhook_settings import WebhookSettings

REQUESTS = Counter(
    "mtabounce_webhook_requests_total", "Requests to webhooks.", ["webhook", "result"]
)
PATIENCE = 2.0  # seconds for the database; some ESPs wait three
PATH = "/webhooks/service/"
_STRANGERS_BODY = 2**18  # octets that are read where no webhook takes them
_TAKEN = {"type": "http.response.body", "body": b'{"data":true}\n'}
_TAKEN_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"14")],
}
log = logging.getLogger(__name__)


class Webhooks:
    """All webhooks, as a bare ASGI application: a framework in between costs as much as they do."""

    def __init__(
        self,
        settings: Mapping[str, WebhookSettings],
        accept: Accept,
        spool: Spool,
        fetch: Fetch | None = None,
    ) -> None:
        self._inbox = accept
        self._spool = spool
        self._fetch = fetch
        self._patience, self._reading = Patience(PATIENCE), Patience(BODY_TIME)
        self._memories: defaultdict[str, Memory] = defaultdict(Memory)
        self._quiet_until: dict[type[Exception], float] = {}  # by the monotonic clock
        self.all: dict[str, Webhook] = {}
        self.refusals = Refusals(discover())
        self.reload(settings)

    def reload(self, settings: Mapping[str, WebhookSettings]) -> None:
        """
        Take requests as *settings* say from now on; those under way end as they began.

        Raises ConfigError where a webhook cannot work, and changes nothing.
        """
        fresh = {
            name: Webhook(name, one, self.durable, self._fetch, self._memories[name])
            for name, one in settings.items()
        }
        self.refusals.watch(fresh)
        for name in fresh:
            REQUESTS.labels(name, "accepted")  # shown from now on, at 0
        self.all = fresh

    def before(self, other: ASGIApp) -> ASGIApp:
        """Return an application that answers what is for webhooks; the rest is for *other*."""

        def choose(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
            if scope["type"] != "http" or not scope["path"].startswith(PATH):
                return other(scope, receive, send)
            if scope["method"] == "POST":
                return self._post(scope["path"].removeprefix(PATH), scope, receive, send)
            return self(scope, receive, send)

        return choose

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        name = scope["path"].removeprefix(PATH)
        if scope["method"] == "POST":
            await self._post(name, scope, receive, send)
        elif scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._probed(name, scope)(scope, receive, send)
        else:
            wrong = _message("use POST", 405, {"Allow": "POST, GET, HEAD, OPTIONS"})
            await wrong(scope, receive, send)

    async def durable(self, raw: RawInput) -> None:
        """Return once *raw* is committed, or on disk where the database is away."""
        try:
            with self._patience():
                await self._inbox(raw)
        except (StoreUnavailable, TimeoutError):
            await self._spool.keep(raw)

    async def _post(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        known = self.all.get(name)
        webhook = known if known and known.is_on else None
        posted = None
        try:
            limit = webhook.settings.max_size if webhook else _STRANGERS_BODY
            posted = await read(scope, receive, limit, self._reading)
            if webhook is None:
                _unknown(name, posted, is_ours=known is not None or name in discover())
            answer = await webhook.take(posted)
        except Refused as error:
            await self._refused(name, scope, posted, error)(scope, receive, send)
        except TryAgainLater as error:
            if self._may_tell(TryAgainLater):
                log.warning("webhook %s: %s", name, error)
            REQUESTS.labels(name, "not_durable").inc()
            await _message("try again later", 503, RETRY_AFTER)(scope, receive, send)
        except Exception:  # noqa: BLE001 (it is logged, though not each time)
            self._fail(name)
            await _message("Internal server error", 500)(scope, receive, send)
        else:
            self.refusals.accepted(name)
            REQUESTS.labels(name, "accepted").inc()
            if answer is not None:
                await _json(answer, 200)(scope, receive, send)
                return
            await send(_TAKEN_START)
            await send(_TAKEN)

    def _fail(self, name: str) -> None:
        """Count a mistake of our own, and log it."""
        REQUESTS.labels(name if name in self.all else "", "failed").inc()
        if self._may_tell(Exception):
            log.exception("webhook %s: a request could not be looked at", name[:100])

    def _may_tell(self, kind: type[Exception]) -> bool:
        """Tell whether to log our trouble of a *kind*: once a minute, though each has it."""
        now = monotonic()
        if now < self._quiet_until.get(kind, 0.0):
            return False
        self._quiet_until[kind] = now + 60
        return True

    def _refused(self, name: str, scope: Scope, posted: Posted | None, error: Refused) -> Response:
        known = name in self.all
        if posted is None:  # it was not read
            posted = Posted(headers=headers_of(scope), query={}, body=b"", peer=peer_of(scope))
        hidden = self.all[name].hidden if known else Hidden()
        if self.refusals.refused(name, posted, error, hidden):
            log.warning("webhook %s: refused: %s", name, error)
        REQUESTS.labels(name if known else "", "refused").inc()
        told = {401: "unauthorized", 503: "try again later"}.get(error.status, str(error))
        extra = {401: CHALLENGE, 503: RETRY_AFTER}.get(error.status)
        return _message(told, error.status, extra)

    def _probed(self, name: str, scope: Scope) -> Response:
        """Say what this is: providers probe with GET and HEAD, people with a browser."""
        webhook = self.all.get(name)
        if origin := headers_of(scope).get("webhook-request-origin"):
            return Response(headers={"WebHook-Allowed-Origin": origin[:255]})
        if webhook is None or not webhook.is_on:
            known = "has no secret yet" if webhook or name in discover() else "is not known"
            return PlainTextResponse(f"mtabounce: this webhook {known}.\n")
        title = webhook.provider.title
        when = _ago(self.refusals.seen(name))
        return PlainTextResponse(f"mtabounce: the webhook for {title}. It takes POST; {when}.\n")


def _ago(seen: Seen) -> str:
    if seen.accepted_at is None:
        return "nothing accepted since the start"
    minutes = int((datetime.now(UTC) - seen.accepted_at).total_seconds() // 60)
    return f"last accepted {minutes} min ago"


def _unknown(name: str, posted: Posted, *, is_ours: bool) -> NoReturn:
    """Refuse; where a topic was subscribed before it was allowed, say what to write."""
    if is_ours and is_envelope(posted):
        topic = signatures.document_of(posted).get("TopicArn")
        log.warning("%s", unknown_topic(name, topic if isinstance(topic, str) else ""))
    raise Refused(400, "Unknown service.")


def _message(text: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return _json({"message": text}, status, headers)


def _json(value: Any, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Answer as listmonk does, to the line end."""
    content = json.dumps(value, separators=(",", ":")) + "\n"
    return Response(content, status, headers, media_type="application/json")
