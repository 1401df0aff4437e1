"""``/api/v1/return-paths``: what to send mail from, so that bounces prove themselves."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, HTTPException, Request
from psycopg.errors import CheckViolation, RaiseException
from pydantic import BaseModel, Field

from mtabounce.address import normalize
from mtabounce.store.return_paths import sign
from mtabounce.store.unavailable import unavailable
from mtabounce.web.api._parts import NO_CONTROLS, may, parts_of, shows

ROUTER = APIRouter(tags=["return paths"])
_NO_KEY = "there is no key to sign with: set domain and keys in [return_path]"


_SIGNED = {
    "data": [
        {
            "email": "ann@example.org",
            "return_path": "b+anmxd-4p6g5ifmsunybyb6@bounces.example.org",
        }
    ]
}


class Wanted(BaseModel):
    """Whom a mail goes to, and what it is part of; another campaign for each mailing."""

    emails: list[Annotated[str, Field(max_length=1000, pattern=NO_CONTROLS)]] = Field(
        max_length=1000, examples=[["ann@example.org", "bob@example.org"]]
    )
    campaign: str = Field("", max_length=250, pattern=NO_CONTROLS, examples=["spring-2026"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """The MAIL FROM for the mail to one address, and to no other."""

    email: str  # as it was asked
    return_path: str


class AllSigned(BaseModel):
    """One for each address, in their order."""

    data: list[Signed]


@ROUTER.post(
    "/return-paths",
    dependencies=[may("sign")],
    responses=shows(_SIGNED) | {409: {"description": "No key is set to sign with"}},
)
async def make_return_paths(request: Request, wanted: Wanted) -> AllSigned:
    """Make return paths for up to 1,000 addresses; asked again, they stay the same for a day."""
    known = {email: _normal(email) for email in wanted.emails}
    try:
        with unavailable():
            async with parts_of(request).connected() as conn:
                signed = await sign(conn, set(known.values()), wanted.campaign)
    except RaiseException:
        raise HTTPException(409, _NO_KEY) from None
    except CheckViolation:
        raise HTTPException(422, "emails: no white space within addresses, please") from None
    return AllSigned(
        data=[Signed(email=email, return_path=signed[known[email]]) for email in wanted.emails]
    )


def _normal(email: str) -> str:
    try:
        return normalize(email)
    except ValueError as error:
        raise HTTPException(422, f"emails: {error}") from None
