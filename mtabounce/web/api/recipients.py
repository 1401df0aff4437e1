"""``/api/v1/recipients``: what is known of one address, and what was decided."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path

from mtabounce.store import bounces, suppressions
from mtabounce.store.bounces import Episode, StoredRecipient
from mtabounce.store.suppressions import StoredDecision, StoredSuppression
from mtabounce.web.api._examples import DECISION, EPISODE, RECIPIENT, SUPPRESSION
from mtabounce.web.api._parts import NO_CONTROLS, Limit, Reading, key_of, may, shows

ROUTER = APIRouter(prefix="/recipients", tags=["recipients"], dependencies=[may("read")])


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """All that is known of an address."""

    recipient: StoredRecipient
    suppressions: list[StoredSuppression]
    decisions: list[StoredDecision]
    story: list[Episode]


_KNOWN = {
    "recipient": RECIPIENT,
    "suppressions": [SUPPRESSION],
    "decisions": [DECISION],
    "story": [EPISODE],
}


@ROUTER.get("/{address:path}", responses=shows(_KNOWN))
def get_recipient(
    conn: Reading,
    address: Annotated[
        str, Path(max_length=1000, pattern=NO_CONTROLS, examples=["ann@example.org"])
    ],
    limit: Limit = 100,
) -> Known:
    """Tell the story of an address: counts, suppressions, and the latest decisions and events."""
    key = key_of(address) or ""
    found = bounces.get_recipient(conn, key)
    if found is None:
        raise HTTPException(404, f"nothing was ever reported about {key}")
    return Known(
        recipient=found,
        suppressions=suppressions.check_addresses(conn, [key]),
        decisions=suppressions.decisions_on(conn, found.id, limit),
        story=bounces.story_of(conn, found.id, limit),
    )
