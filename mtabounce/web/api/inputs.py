"""``/api/v1/inputs``: what was received, and what became of it."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path

from mtabounce.model import Outcome
from mtabounce.store import inputs as store
from mtabounce.store.inputs import State, StoredInput
from mtabounce.web.api._examples import INPUT
from mtabounce.web.api._parts import (
    Cursor,
    Limit,
    Page,
    Reading,
    Since,
    Text,
    after_number,
    may,
    page_of,
    shows,
)
from mtabounce.web.request import LARGEST_ID

ROUTER = APIRouter(prefix="/inputs", tags=["inputs"], dependencies=[may("read")])


@ROUTER.get("", responses=shows({"data": [INPUT], "next": None}))
def list_inputs(
    conn: Reading,
    state: State | None = None,
    outcome: Outcome | None = None,
    source: Text | None = None,
    since: Since | None = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[StoredInput]:
    """List what was received, the newest first."""
    found = store.list_inputs(
        conn,
        state=state,
        outcome=outcome,
        source=source,
        since=since,
        before=after_number(cursor),
        limit=limit + 1,
    )
    return page_of(found, limit, lambda one: [one.id])


@ROUTER.get("/{id}", responses=shows(INPUT))
def get_input(
    conn: Reading,
    id: Annotated[int, Path(ge=1, le=LARGEST_ID)],  # noqa: A002 (the column's name)
) -> StoredInput:
    """Give one input, without its content, which may hold anything."""
    found = store.get_input(conn, id)
    if found is None:
        raise HTTPException(404, f"there is no input {id}")
    return found
