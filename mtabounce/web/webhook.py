"""One webhook of an ESP: what proves who posts, and what becomes of a request."""

import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mtabounce.model import WEBHOOK, RawInput
from mtabounce.pipeline.inbox import Accept
from mtabounce.providers.request import USED, pack
from mtabounce.web import signatures
from mtabounce.web.refusals import Hidden
from mtabounce.web.request import Posted, Refused
from mtabounce.web.sns import Certificates, Fetch, Sns, is_envelope
from mtabounce.web.webhook_providers import provider_of
from mtabounce.web.webhook_settings import WebhookSettings

_REMEMBERED = 100_000  # signatures that are good for one body


@dataclass(frozen=True, slots=True)
class Memory:
    """What a webhook learned, which it keeps when its settings are read anew."""

    used: OrderedDict[bytes, bytes] = field(default_factory=OrderedDict)  # what was signed
    certificates: Certificates = field(default_factory=dict)


class Webhook:
    """One webhook: who may post, and what becomes of it."""

    def __init__(
        self,
        name: str,
        settings: WebhookSettings,
        accept: Accept,
        fetch: Fetch | None = None,
        memory: Memory | None = None,
    ) -> None:
        self.name = name
        self.settings = settings
        self.provider = provider_of(name, settings)
        self.is_on = settings.is_on()
        self._accept = accept
        memory = memory or Memory()
        self._sns = Sns(settings.topic_arns, fetch, memory.certificates)
        self._used = memory.used
        self._table = dict(self.provider.table.auth) | {"url": settings.url}
        self._is_once = bool(self._table.get("once"))
        self._tokens = [one.get_secret_value() for one in settings.token_files]
        self._passwords = settings.passwords()
        secrets = [one.get_secret_value() for one in settings.secret_files]
        self.hidden = Hidden(self._secret_headers(), (*secrets, *self._tokens, *self._passwords))
        self._check = signatures.checker(self._table, secrets) if secrets else None

    def _secret_headers(self) -> tuple[str, ...]:
        """Return the headers that hold a secret itself, not a signature made with it."""
        is_token = self._table.get("kind") in (None, "token") and "header" in self._table
        return (self._table["header"].lower(),) if is_token else ()

    async def take(self, posted: Posted) -> dict[str, Any] | None:
        """
        Verify *posted* and make it durable; return what it is answered, None for the usual.

        Raises Refused, or TryAgainLater where it cannot be made durable.
        """
        now = datetime.now(UTC)
        await self.verify(posted, now)
        answer = _handshake(posted) if "handshake" in self._table else None
        if answer is None:
            await self._accept(self.input_of(posted, now))
        return answer

    def input_of(self, posted: Posted, now: datetime) -> RawInput:
        """Return *posted* as the inbox takes it."""
        return RawInput(
            source=f"{WEBHOOK}{self.name}",
            content=pack(posted.headers, posted.body, self._signed(posted)),
            received_at=now,
            peer=posted.peer,
            trusted=self.settings.auth != "none",
        )

    def _signed(self, posted: Posted) -> bytes:
        """Return what was signed, where that leaves out the body: workers look after it."""
        if not self._is_once or self._check is None:
            return b""
        try:
            return signatures.mark_of(self._table, posted)
        except Refused:  # replay --trust takes it all the same
            return b""

    async def verify(self, posted: Posted, now: datetime) -> None:
        """Check that the provider sent *posted*. Raises Refused."""
        self._verify(posted, now)
        if self.settings.topic_arns:
            await self._verify_sns(posted, now)

    def _verify(self, posted: Posted, now: datetime) -> None:
        """Check all but what SNS signs."""
        if not self.is_on:
            raise Refused(400, "Unknown service.")
        if self._passwords:
            signatures.basic(self.settings.username, self._passwords, posted)
        if self._tokens:
            signatures.token(self._table, self._tokens, posted)
        if self._check is not None:
            self._check(posted, now)
            if self._is_once:
                self._check_once(posted)

    async def _verify_sns(self, posted: Posted, now: datetime) -> None:
        others = self._passwords or self._tokens
        if is_envelope(posted) or not others:  # raw delivery is not signed
            await self._sns.verify(posted, self.name, now)

    def _check_once(self, posted: Posted) -> None:
        """
        Let a signature that leaves out the body be good for one body only.

        This is what one process remembers; workers look at all that was ever taken.
        """
        mark = signatures.mark_of(self._table, posted)
        body = hashlib.sha256(posted.body).digest()
        if self._used.setdefault(mark, body) != body:
            signatures.refuse(USED)
        if len(self._used) > _REMEMBERED:
            self._used.popitem(last=False)


def _handshake(posted: Posted) -> dict[str, Any] | None:
    """Return the answer to Event Grid's question whether we want its events."""
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
