"""
What webhooks took and refused: counts, moments, and the latest refused requests themselves.

Nothing of this is needed to take a request, so that it is written now and then, in one go. What a
stranger can make us keep is bounded: so many requests and octets a minute for each webhook.
"""

import asyncio
import logging
from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import psycopg
from psycopg import AsyncConnection

from mtabounce.errors import StoreUnavailable
from mtabounce.store import webhooks as store
from mtabounce.store.connection import Connect
from mtabounce.store.unavailable import unavailable
from mtabounce.web.request import Posted, Refused

PAUSE = 2.0  # seconds between two times of writing
_LAST = 2.0  # seconds for the last time, when we stop
KEPT = 20  # refused requests of one webhook in a minute; others are only counted
KEPT_OF_A_KIND = 10  # of them with one reason: a scanner leaves room for the provider's own
KEPT_OCTETS = 2**20  # of their bodies; of one that is longer, its beginning
_MINUTE = 60.0
_SECRETS = ("authorization", "cookie", "token", "secret", "password", "api-key", "apikey")
_MAX_HEADERS = 60
_MAX_VALUE = 2_000  # characters of one header
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Seen:
    """What one webhook took and refused since the start."""

    accepted: int = 0
    accepted_at: datetime | None = None
    refused: int = 0
    refused_at: datetime | None = None
    why: str = ""
    unwritten_accepted: int = 0
    unwritten_refused: int = 0
    waiting: list[store.Refusal] = field(default_factory=list)
    minute: float = 0.0  # when it began, by the monotonic clock
    kept: Tally[str] = field(default_factory=Tally)  # requests in this minute, by why
    octets: int = 0


@dataclass(frozen=True, slots=True)
class Hidden:
    """What of a webhook's requests is kept nowhere, beside what is never kept."""

    headers: tuple[str, ...] = ()  # in lower case: their values
    secrets: tuple[str, ...] = ()  # values that hold one of these


class Refusals:
    """Remembers what the webhooks *names* took and refused; other names are no webhooks."""

    def __init__(self, names: Iterable[str]) -> None:
        self._seen: dict[str, Seen] = {}
        self.watch(names)

    def watch(self, names: Iterable[str]) -> None:
        """Remember what *names* take and refuse, too."""
        for name in names:
            self._seen.setdefault(name, Seen())

    def seen(self, name: str) -> Seen:
        """Return what the webhook *name* took and refused."""
        return self._seen.get(name) or Seen()

    def accepted(self, name: str) -> None:
        """Note that *name* took a request."""
        seen = self._seen[name]
        seen.accepted_at = datetime.now(UTC)
        seen.accepted += 1
        seen.unwritten_accepted += 1

    def refused(
        self, name: str, posted: Posted, error: Refused, hidden: Hidden | None = None
    ) -> bool:
        """
        Note that *name* refused *posted*; return whether it is worth a line in the log.

        What *hidden* holds is kept nowhere.
        """
        seen = self._seen.get(name)
        if seen is None:
            return False
        seen.refused_at, seen.why = datetime.now(UTC), str(error)
        seen.refused += 1
        seen.unwritten_refused += 1
        if monotonic() - seen.minute > _MINUTE:
            seen.minute, seen.kept, seen.octets = monotonic(), Tally(), 0
        body = posted.body[: max(KEPT_OCTETS - seen.octets, 0)]
        if seen.kept.total() >= KEPT or seen.kept[seen.why] >= KEPT_OF_A_KIND:
            return False
        seen.kept[seen.why] += 1
        seen.octets += len(body)
        seen.waiting.append(
            store.Refusal(
                webhook=name,
                refused_at=seen.refused_at,
                status=error.status,
                why=seen.why[:500],
                peer=posted.peer[:100],
                headers=without_secrets(posted.headers, hidden),
                body=body,
                size=len(posted.body),
            )
        )
        while len(seen.waiting) > KEPT or sum(len(one.body) for one in seen.waiting) > KEPT_OCTETS:
            del seen.waiting[0]
        return True

    async def run(self, connect: Connect) -> None:
        """
        Write what there is, again and again, until cancelled, and then once more.

        *connect* gives autocommit.
        """
        try:
            while True:
                await asyncio.sleep(PAUSE)
                await self._write_news(connect)
        finally:
            with suppress(TimeoutError, psycopg.Error, OSError):  # it is not worth more
                async with asyncio.timeout(_LAST):
                    await self._write_news(connect)

    async def _write_news(self, connect: Connect) -> None:
        try:
            if news := self._news():
                async with await connect() as conn:
                    with unavailable():
                        await self._write(conn, news)
        except StoreUnavailable as error:
            log.debug("webhooks: their counts wait: %s", error)

    def _news(self) -> dict[str, Seen]:
        return {
            name: seen
            for name, seen in self._seen.items()
            if seen.unwritten_accepted or seen.unwritten_refused
        }

    async def _write(self, conn: AsyncConnection[Any], news: Mapping[str, Seen]) -> None:
        counts = [
            {
                "webhook": name,
                "accepted": seen.unwritten_accepted,
                "accepted_at": seen.accepted_at,
                "refused": seen.unwritten_refused,
                "refused_at": seen.refused_at,
                "why": seen.why[:500],
            }
            for name, seen in news.items()
        ]
        waiting = [one for seen in news.values() for one in seen.waiting]
        await store.note(conn, counts, waiting)
        for row, seen in zip(counts, news.values(), strict=True):
            # More may have come while this was written.
            seen.unwritten_accepted -= int(str(row["accepted"]))
            seen.unwritten_refused -= int(str(row["refused"]))
            seen.waiting = [one for one in seen.waiting if one not in waiting]


def without_secrets(headers: Mapping[str, str], hidden: Hidden | None = None) -> dict[str, str]:
    """Return *headers* with the values of those that hold a password or a token masked."""
    hidden = hidden or Hidden()
    words = (*_SECRETS, *hidden.headers)
    return {
        name[:100]: "***"
        if any(word in name for word in words) or any(one in value for one in hidden.secrets)
        else value[:_MAX_VALUE]
        for name, value in list(headers.items())[:_MAX_HEADERS]
    }
