"""``/api/v1/bounces``: what failed, why, and by what evidence."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path

from mtabounce.address import domain_key
from mtabounce.model import BounceType
from mtabounce.store import bounces as store
from mtabounce.store.bounces import StoredBounce, StoredObservation
from mtabounce.web.api._examples import BOUNCE, EVIDENCE
from mtabounce.web.api._parts import (
    Address,
    Cursor,
    Limit,
    Page,
    Reading,
    Since,
    Text,
    after_number,
    key_of,
    may,
    page_of,
    shows,
)
from mtabounce.web.request import LARGEST_ID

ROUTER = APIRouter(prefix="/bounces", tags=["bounces"], dependencies=[may("read")])


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A bounce, and all that was said of it."""

    bounce: StoredBounce
    evidence: list[StoredObservation]


@ROUTER.get("", responses=shows({"data": [BOUNCE], "next": "WzE3XQ"}))
def list_bounces(
    conn: Reading,
    recipient: Address | None = None,
    domain: Text | None = None,
    type: BounceType | None = None,  # noqa: A002 (the column's name)
    reason: Text | None = None,
    campaign: Text | None = None,
    since: Since | None = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[StoredBounce]:
    """List bounces, the newest first. `since` looks at when evidence came last."""
    found = store.page_of_bounces(
        conn,
        recipient=key_of(recipient),
        domain=domain and domain_key(domain),
        type=type,
        reason=reason,
        campaign=campaign,
        since=since,
        before=after_number(cursor),
        limit=limit + 1,
    )
    return page_of(found, limit, lambda one: [one.id])


@ROUTER.get("/{id}", responses=shows({"bounce": BOUNCE, "evidence": [EVIDENCE]}))
def get_bounce(
    conn: Reading,
    id: Annotated[int, Path(ge=1, le=LARGEST_ID)],  # noqa: A002 (the column's name)
) -> Explained:
    """Give one bounce with its evidence, oldest first."""
    bounce = store.get_bounce(conn, id)
    if bounce is None:
        raise HTTPException(404, f"there is no bounce {id}")
    return Explained(bounce=bounce, evidence=store.observations_of(conn, id))
