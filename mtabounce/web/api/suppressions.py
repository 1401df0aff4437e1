"""``/api/v1/suppressions`` and ``/api/v1/check``: whom not to mail."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field

from mtabounce.address import domain_key, normalize, recipient_key
from mtabounce.pipeline.words import Word, say
from mtabounce.policy import EVERYWHERE
from mtabounce.policy.scopes import PATTERN, scope_key
from mtabounce.store import suppressions as store
from mtabounce.store.suppressions import Cause, StoredSuppression
from mtabounce.store.tokens import Caller
from mtabounce.store.unavailable import unavailable
from mtabounce.web.api._examples import SUPPRESSION
from mtabounce.web.api._parts import (
    NO_CONTROLS,
    Address,
    Cursor,
    Limit,
    Page,
    Parts,
    Reading,
    Since,
    Text,
    after_texts,
    key_of,
    may,
    page_of,
    parts_of,
    shows,
)

ROUTER = APIRouter(tags=["suppressions"])
_LONGEST = timedelta(days=36500)  # that a suppression may last, if it is to end at all

Scope = Annotated[
    str,
    Query(max_length=1000, pattern=PATTERN, description="all, list:ID or campaign:NAME."),
    AfterValidator(scope_key),
]
OneAddress = Annotated[
    str, Path(max_length=1000, pattern=NO_CONTROLS, examples=["ann@example.org"])
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Whether an address may be mailed; *suppressions* says why not."""

    email: str  # as it was asked
    suppressed: bool
    suppressions: list[StoredSuppression]


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One suppression of one address that was asked about."""

    email: str  # as it was asked
    suppression: StoredSuppression


class Asked(BaseModel):
    """Addresses to look up, and for which list or campaign."""

    emails: list[Annotated[str, Field(max_length=1000, pattern=NO_CONTROLS)]] = Field(
        max_length=10_000, examples=[["ann@example.org", "bob@example.org"]]
    )
    scope: Annotated[str, AfterValidator(scope_key)] = Field(
        EVERYWHERE, max_length=1000, pattern=PATTERN
    )


class Matches(BaseModel):
    """Those that are suppressed; who is not in it may be mailed."""

    data: list[Match]


class Addition(BaseModel):
    """Why, where and how long an address is suppressed."""

    why: str = Field("", max_length=1000, pattern=NO_CONTROLS, examples=["asked by phone"])
    scope: Annotated[str, AfterValidator(scope_key)] = Field(
        EVERYWHERE, max_length=1000, pattern=PATTERN
    )
    until: AwareDatetime | None = Field(None, description="When it ends; null: never.")


_PAGE = {"data": [SUPPRESSION], "next": None}
_NOT = {"email": "ann@example.net", "suppressed": True, "suppressions": [SUPPRESSION]}
_MAY = {"email": "ann@example.net", "suppressed": False, "suppressions": []}
_MATCHES = {"data": [{"email": "ann@example.net", "suppression": SUPPRESSION}]}


@ROUTER.get("/suppressions", dependencies=[may("read")], responses=shows(_PAGE))
def list_suppressions(
    conn: Reading,
    domain: Text | None = None,
    cause: Cause | None = None,
    reason: Text | None = None,
    scope: Scope | None = None,
    since: Since | None = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[StoredSuppression]:
    """List the suppressions that hold now, by address."""
    recipient, its_scope = after_texts(cursor)
    found = store.page_of_suppressions(
        conn,
        domain=domain and domain_key(domain),
        cause=cause,
        reason=reason,
        scope=scope,
        since=since,
        after=recipient,
        after_scope=its_scope,
        limit=limit + 1,
    )
    return page_of(found, limit, lambda one: [one.recipient, one.scope])


@ROUTER.get("/check", dependencies=[may("read")], responses=shows(_NOT))
def check_one(conn: Reading, email: Address, scope: Scope = EVERYWHERE) -> Answer:
    """Say whether an address may be mailed, to a list or campaign or at all."""
    found = store.check_addresses(conn, [key_of(email) or ""])
    against = [one for one in found if one.scope in (EVERYWHERE, scope)]
    return Answer(email=email, suppressed=bool(against), suppressions=against)


@ROUTER.post("/check", dependencies=[may("read")], responses=shows(_MATCHES))
def check_many(conn: Reading, asked: Asked) -> Matches:
    """Say which of up to 10,000 addresses are suppressed, in their order."""
    keys = {email: recipient_key(email) for email in asked.emails}
    against: dict[str, list[StoredSuppression]] = {}
    for one in store.check_addresses(conn, sorted(set(keys.values()))):
        if one.scope in (EVERYWHERE, asked.scope):
            against.setdefault(one.recipient, []).append(one)
    return Matches(
        data=[
            Match(email=email, suppression=one)
            for email, key in keys.items()
            for one in against.get(key, [])
        ]
    )


@ROUTER.put("/suppressions/{address:path}", responses=shows(_NOT))
async def suppress(
    request: Request,
    address: OneAddress,
    addition: Addition,
    caller: Annotated[Caller, may("admin")],
) -> Answer:
    """Suppress an address, whatever policy says; it is written down with the token's name."""
    now = datetime.now(UTC)
    if addition.until and not now < addition.until < now + _LONGEST:
        raise HTTPException(422, "until: must be in the future, and within 100 years")
    word = Word(
        recipient=_normal(address),
        action="add",
        why=addition.why,
        scope=addition.scope,
        until=addition.until,
    )
    return await _say(request, address, word, caller)


@ROUTER.delete("/suppressions/{address:path}", responses=shows(_MAY))
async def forgive(
    request: Request,
    address: OneAddress,
    caller: Annotated[Caller, may("admin")],
    why: Annotated[str, Query(max_length=1000, pattern=NO_CONTROLS)] = "",
) -> Answer:
    """Mail an address again: all that happened to it before is forgiven, and does not count."""
    word = Word(recipient=_normal(address), action="remove", why=why)
    return await _say(request, address, word, caller)


async def _say(request: Request, address: str, word: Word, caller: Caller) -> Answer:
    parts = parts_of(request)
    with unavailable():
        async with parts.connected() as conn, conn.transaction():
            await say(conn, parts.policy, [word], caller.username)
        against = await run_in_threadpool(_against, parts, word.recipient)
    return Answer(email=address, suppressed=bool(against), suppressions=against)


def _against(parts: Parts, recipient: str) -> list[StoredSuppression]:
    with parts.reading.connection() as conn:
        return store.check_addresses(conn, [recipient])


def _normal(address: str) -> str:
    try:
        return normalize(address)
    except ValueError as error:
        raise HTTPException(422, f"address: {error}") from None
