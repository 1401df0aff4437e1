"""What the paths of the API share: callers, connections, pages and cursors."""

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, HTTPException, Query, Request
from psycopg import Connection
from pydantic import AwareDatetime, BaseModel, Field

from mtabounce.address import recipient_key
from mtabounce.policy import PolicySettings
from mtabounce.store.connection import ConnectionPool
from mtabounce.store.tokens import Caller
from mtabounce.store.unavailable import unavailable
from mtabounce.web.callers import Callers, Connected
from mtabounce.web.request import LARGEST_ID

T = TypeVar("T")
NO_CONTROLS = r"^[^\x00-\x1f\x7f]*$"


@dataclass(frozen=True, slots=True)
class Parts:
    """What the API works with."""

    callers: Callers
    connected: Connected  # to write, in the event loop
    reading: ConnectionPool  # to read, in threads, as the commands do
    policy: PolicySettings


class Problem(BaseModel):
    """Why a request was not done, in one line."""

    message: str = Field(examples=["recipient: not an address: 'ann'"])


class Page(BaseModel, Generic[T]):
    """A part of a list."""

    data: list[T]
    next: str | None = Field(
        description="The cursor of the next page; null where this is the last."
    )


def shows(example: Any) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a path that answers such as *example*."""
    return {200: {"content": {"application/json": {"example": example}}}}


def parts_of(request: Request) -> Parts:
    """Return the parts of the application that answers *request*."""
    parts: Parts = request.app.state.parts
    return parts


def may(scope: str) -> Any:
    """Return what lets only callers with *scope* in, and gives them."""

    def check(request: Request) -> Caller:
        caller: Caller = request.scope["caller"]
        if not caller.may(scope):
            raise HTTPException(403, f"this token lacks the scope {scope}")
        return caller

    return Depends(check)


def _reading(request: Request) -> Iterator[Connection[Any]]:
    with unavailable(), parts_of(request).reading.connection() as conn:
        yield conn


Reading = Annotated[Connection[Any], Depends(_reading)]
Text = Annotated[str, Query(max_length=1000, pattern=NO_CONTROLS)]
Address = Annotated[str, Query(max_length=1000, pattern=NO_CONTROLS, examples=["ann@example.org"])]
Since = Annotated[AwareDatetime, Query(examples=["2026-11-23T10:00:00Z"])]
Limit = Annotated[int, Query(ge=1, le=1000, description="How many at most.")]
Cursor = Annotated[
    str | None, Query(max_length=2000, description="Where to go on: `next` of the page before.")
]


def key_of(address: str | None) -> str | None:
    """Return *address* as recipients are stored; None as None."""
    return None if address is None else recipient_key(address)


def page_of(found: Sequence[T], limit: int, key: Callable[[T], Sequence[Any]]) -> Page[T]:
    """Return *found*, of which one more than *limit* was asked for, as a page ordered by *key*."""
    data = list(found[:limit])
    more = len(found) > limit
    return Page(data=data, next=_encoded(key(data[-1])) if more else None)


def after_number(cursor: str | None) -> int | None:
    """Return the number that *cursor* stands for. Raises HTTPException where it is none of ours."""
    (number,) = _decoded(cursor, int) or (None,)
    if number is not None and not 0 < number <= LARGEST_ID:
        raise _no_cursor()
    return number


def after_texts(cursor: str | None) -> tuple[str | None, str | None]:
    """Return the two texts that *cursor* stands for. Raises HTTPException likewise."""
    first, second = _decoded(cursor, str, str) or (None, None)
    if "\0" in f"{first}{second}":
        raise _no_cursor()
    return first, second


def _encoded(values: Sequence[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(list(values)).encode()).decode().rstrip("=")


def _decoded(cursor: str | None, *kinds: type) -> list[Any] | None:
    if cursor is None:
        return None
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor.encode() + b"=="))
        str(values).encode()
    except (ValueError, RecursionError):
        raise _no_cursor() from None
    if not isinstance(values, list) or [type(value) for value in values] != list(kinds):
        raise _no_cursor()
    return values


def _no_cursor() -> HTTPException:
    return HTTPException(422, "cursor: is none of ours")
