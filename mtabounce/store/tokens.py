"""Tokens of the HTTP API: only their hashes are stored."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection, Connection
from psycopg.rows import class_row

from mtabounce.store.statements import statements

SQL = statements("tokens")
SCOPES = ("read", "ingest", "sign", "admin")


@dataclass(frozen=True, slots=True)
class Token:
    """A token as operators see it, without itself."""

    id: int
    username: str
    scopes: list[str]
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a token belongs to, and what it may."""

    username: str
    scopes: list[str]

    def may(self, scope: str) -> bool:
        """Whether *scope* is among its own; admin is all of them."""
        return scope in self.scopes or "admin" in self.scopes


def create(conn: Connection[Any], username: str, scopes: Sequence[str]) -> str:
    """Make a token for *username* and return it: this is the only time that it is seen."""
    token = secrets.token_urlsafe(32)
    args = {"username": username, "token_hash": hash_of(token), "scopes": list(scopes)}
    conn.execute(SQL["create"], args)
    return token


def list_tokens(conn: Connection[Any]) -> list[Token]:
    """Return all tokens, revoked ones too."""
    with conn.cursor(row_factory=class_row(Token)) as cursor:
        return cursor.execute(SQL["list"]).fetchall()


def revoke(conn: Connection[Any], which: str) -> int:
    """Revoke the token of number or user name *which*; return how many there were."""
    return len(conn.execute(SQL["revoke"], {"which": which}).fetchall())


async def find(conn: AsyncConnection[Any], token: str) -> Caller | None:
    """Return whose *token* is; None where nobody's."""
    async with conn.cursor(row_factory=class_row(Caller)) as cursor:
        await cursor.execute(SQL["find"], {"token_hash": hash_of(token)})
        return await cursor.fetchone()


def hash_of(token: str) -> bytes:
    """Return what is stored of *token*; it is random, so that no salt is needed."""
    return hashlib.sha256(token.encode(errors="replace")).digest()
