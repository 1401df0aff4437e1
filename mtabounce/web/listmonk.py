"""
listmonk's bounce API, one for one: paths, checks in their order, answers, paging.

Unlike there, 200 comes once a bounce is durable, and none is lost: a subscriber who is not known
yet is made known, a campaign that is no UUID is kept in ``meta``, and the example of listmonk's
documentation, which lacks a quote, is taken (listmonk_bounce.py).
"""

import json
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from mtabounce.errors import TryAgainLater
from mtabounce.model import API, RawInput
from mtabounce.pipeline.inbox import Accept
from mtabounce.pipeline.removing import remove_bounces
from mtabounce.pipeline.words import Word, in_batches, say
from mtabounce.policy import PolicySettings
from mtabounce.providers.request import pack
from mtabounce.store import listmonk as store
from mtabounce.store.text import clean_text
from mtabounce.web.callers import Callers, Connected, NotKnown
from mtabounce.web.listmonk_bounce import read_bounce
from mtabounce.web.listmonk_settings import ListmonkSettings
from mtabounce.web.request import LARGEST_ID, RETRY_AFTER, Refused, peer_of, read_request

_BLOCKLISTED = "blocklisted over the API"
MAX_SIZE = 2**20  # octets of one bounce
_TRUE = {"1", "t", "T", "true", "True", "TRUE"}  # Go's ParseBool
_ORDERS = {"email", "source", "created_at", "type", "campaign_name"}
_SCOPES = {"webhooks:post_bounce": "ingest", "bounces:get": "read", "bounces:manage": "admin"}
_COLUMNS = ("id", "type", "source", "meta", "created_at", "email", "subscriber_uuid",
            "subscriber_id", "subscriber_status", "campaign")  # fmt: skip

log = logging.getLogger(__name__)

Handler = Callable[[Request], Awaitable[Any]]


class ListmonkApi:
    """The routes, on a database, for callers with a token."""

    def __init__(
        self,
        settings: ListmonkSettings,
        callers: Callers,
        connected: Connected,
        accept: Accept,
        policy: PolicySettings,
    ) -> None:
        self._settings = settings
        self._callers = callers
        self._connected = connected
        self._accept = accept
        self._policy = policy

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            self._route("POST", "/webhooks/bounce", "webhooks:post_bounce", self._post),
            self._route("PUT", "/api/bounces/blocklist", "bounces:manage", self._blocklist),
            self._route("GET", "/api/bounces", "bounces:get", self._list),
            self._route("DELETE", "/api/bounces", "bounces:manage", self._delete),
            self._route("GET", "/api/bounces/{id}", "bounces:get", self._one),
            self._route("DELETE", "/api/bounces/{id}", "bounces:manage", self._delete_one),
            self._route("GET", "/api/subscribers/{id}/bounces", "bounces:get", self._of),
            self._route("DELETE", "/api/subscribers/{id}/bounces", "bounces:manage", self._forget),
            Route("/webhooks/bounce", _probed),
            Route("/api/{rest:path}", _unknown),
        ]

    def _route(self, method: str, path: str, permission: str, handler: Handler) -> Route:
        async def answer(request: Request) -> Response:
            try:
                await self._authorize(request, permission)
                given = await handler(request)
                return given if isinstance(given, Response) else _json({"data": given})
            except Refused as error:
                return _json({"message": str(error)}, error.status, error.headers())
            except (TryAgainLater, psycopg.OperationalError):
                return _json({"message": "try again later"}, 503, RETRY_AFTER)
            except Exception:
                log.exception("%s %s", method, path)
                return _json({"message": "Internal server error"}, 500)

        return Route(path, answer, methods=[method])

    async def _authorize(self, request: Request, permission: str) -> None:
        """Raise Refused(403), as listmonk does, where the caller may not do this."""
        authorization = request.headers.get("authorization", "")
        if "session" in request.cookies:  # a log-in to listmonk, which there is none of here
            authorization = ""
        try:
            caller = await self._callers.identify(authorization, peer_of(request))
        except NotKnown as error:
            raise Refused(403, str(error)) from None
        if not caller.may(_SCOPES[permission]):
            raise Refused(403, f"permission denied: {permission}")

    async def _post(self, request: Request) -> bool:
        if not self._settings.enabled:
            raise Refused(503, "Internal server error")
        posted = await read_request(request, MAX_SIZE)
        bounce = read_bounce(posted.body, self._settings)
        if bounce["subscriber_uuid"]:
            bounce["email"] = await self._email_of(bounce)
        key = posted.headers.get("idempotency-key") or str(uuid4())
        await self._accept(
            RawInput(
                source=API,
                content=pack(
                    {"content-type": "application/json", "idempotency-key": key},
                    json.dumps(bounce).encode(),
                ),
                received_at=datetime.now(UTC),
                peer=posted.peer,
                trusted=True,
            )
        )
        return True

    async def _email_of(self, bounce: dict[str, Any]) -> str:
        """Return whose UUID it is; who is not known goes by the address given, or the UUID."""
        uuid = bounce["subscriber_uuid"].lower()
        async with self._connected() as conn:
            known = await store.recipient_by_uuid(conn, uuid)
        return str(known or bounce["email"] or uuid)

    async def _list(self, request: Request) -> dict[str, Any] | Response:
        query = request.query_params
        page, per_page = max(_int(query.get("page"), 1), 1), _per_page(query.get("per_page"))
        order = query.get("order_by")
        filters = {
            "campaign_id": _int(query.get("campaign_id"), 0) or None,
            "source": clean_text(query.get("source", "")) or None,
            "order_by": order if order in _ORDERS else "created_at",
            "ascending": query.get("order") == "asc",
        }
        if not per_page:
            return await self._all(filters, page)
        async with self._connected() as conn:
            offset = min((page - 1) * per_page, LARGEST_ID)
            rows = await store.list_bounces(conn, **filters, limit=per_page, offset=offset)
        if not rows:
            return _page([], 0, 0, 0)
        results = [_bounce(row) for row in rows]
        return _page(results, rows[0]["total"], per_page, page)

    async def _all(self, filters: dict[str, Any], page: int) -> dict[str, Any] | Response:
        """Answer with all bounces, a few at a time: they may be more than memory holds."""
        chunks = self._chunks(filters)
        first: list[dict[str, Any]] = await anext(chunks, [])
        if not first:
            return _page([], 0, 0, 0)
        head, tail = _text({"data": _page([], first[0]["total"], 0, page)}).split("[]", 1)

        async def texts() -> AsyncIterator[bytes]:
            yield f"{head}[".encode()
            yield _listed(first)
            async for rows in chunks:
                yield b"," + _listed(rows)
            yield f"]{tail}".encode()

        return StreamingResponse(texts(), media_type="application/json")

    async def _chunks(self, filters: dict[str, Any]) -> AsyncGenerator[list[dict[str, Any]], None]:
        async with self._connected() as conn:
            async for rows in store.all_bounces(conn, **filters):
                yield rows

    async def _one(self, request: Request) -> dict[str, Any]:
        async with self._connected() as conn:
            rows = await store.list_bounces(conn, id=_id(request))
        if not rows:
            raise Refused(400, "Bounce not found")
        return _bounce(rows[0])

    async def _of(self, request: Request) -> list[dict[str, Any]]:
        async with self._connected() as conn:
            rows = await store.list_bounces(conn, subscriber_id=_id(request), limit=1000)
        return [_bounce(row) for row in rows]

    async def _delete(self, request: Request) -> bool:
        if request.query_params.get("all") in _TRUE:
            return await self._remove(None)
        ids = [_int(text, 0) for text in request.query_params.getlist("id")]
        if not ids or not all(0 < number <= LARGEST_ID for number in ids):
            raise Refused(400, "Invalid ID(s)")
        return await self._remove(ids)

    async def _delete_one(self, request: Request) -> bool:
        return await self._remove([_id(request)])

    async def _forget(self, request: Request) -> bool:
        return await self._remove(None, _id(request))

    async def _remove(self, ids: list[int] | None, subscriber: int | None = None) -> bool:
        async with self._connected() as conn:
            while found := await store.bounce_ids(conn, ids, subscriber):
                async with conn.transaction():
                    await remove_bounces(conn, found, "api")
        return True

    async def _blocklist(self, request: Request) -> bool:
        del request  # its body means nothing
        async with self._connected() as conn:
            who = await store.bounced_recipients(conn, self._policy.trusts())
            words = [Word(recipient=one, action="add", why=_BLOCKLISTED) for one in who]
            for batch in in_batches(words):
                async with conn.transaction():
                    await say(conn, self._policy, batch, "api")
        return True


def _int(text: str | None, default: int) -> int:
    found = re.fullmatch(r"[+-]?\d{1,18}", text or "", re.ASCII)
    return int(found[0]) if found else default


def _per_page(text: str | None) -> int:
    """Return how many a page has; 0: all of them."""
    if text == "all":
        return 0
    number = _int(text, 20)
    return 20 if number == 0 else max(number, 0)


def _id(request: Request) -> int:
    number = _int(request.path_params["id"], 0)
    if number < 1:
        raise Refused(400, "invalid ID")
    return number


def _bounce(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in _COLUMNS}


def _page(results: list[dict[str, Any]], total: int, per_page: int, page: int) -> dict[str, Any]:
    return {"results": results, "search": "", "query": "", "total": total, "per_page": per_page,
            "page": page}  # fmt: skip


async def _probed(request: Request) -> Response:
    """Say in a browser what this is."""
    del request
    return PlainTextResponse("mtabounce: takes bounces by POST, as listmonk does; see /docs.\n")


async def _unknown(request: Request) -> Response:
    del request
    return _json({"message": "404 unknown endpoint"}, 404)


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    content = _text(value).encode(errors="replace")
    return Response(content, status, headers, media_type="application/json")


def _text(value: Any) -> str:
    return json.dumps(value, default=_plain, ensure_ascii=False, separators=(",", ":")) + "\n"


def _listed(rows: list[dict[str, Any]]) -> bytes:
    """Return *rows* as they stand in a list of JSON, without its brackets."""
    return _text([_bounce(row) for row in rows]).strip()[1:-1].encode(errors="replace")


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} has no JSON form")
