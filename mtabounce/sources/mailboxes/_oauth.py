"""OAuth 2 tokens to log in with: from a command of the user's, or by a refresh token."""

import asyncio
import json
import urllib.request
from asyncio.subprocess import PIPE
from contextlib import suppress
from urllib.error import HTTPError
from urllib.parse import urlencode

from mtabounce.sources.mailboxes._mailbox import (
    MailboxError,
    MailboxRefused,
    MailboxSettings,
    OAuthSettings,
)

_LARGEST = 64 * 1024  # octets of an answer, or of what the command prints


async def token_for(settings: MailboxSettings) -> str:
    """Return a token. Raises MailboxError, MailboxRefused where the grant is no longer good."""
    if settings.oauth is not None:
        token = await asyncio.to_thread(_refreshed, settings.oauth, settings.seconds)
    else:
        token = await _printed(settings.oauth_command, settings.seconds)
    if not token or not token.isprintable():
        raise MailboxError("OAuth gave no token")
    return token


def xoauth2(username: str, token: str) -> bytes:
    """Return what AUTH XOAUTH2 sends, before base64."""
    return f"user={username}\x01auth=Bearer {token}\x01\x01".encode()


async def _printed(command: list[str], seconds: float) -> str:
    try:
        process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    except OSError as error:
        raise MailboxError(f"oauth_command {command[0]}: {error.strerror}") from error
    try:
        async with asyncio.timeout(seconds):
            said, _ = await process.communicate()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise MailboxError(f"oauth_command {command[0]}: no end after {seconds:g} s") from None
    if process.returncode:
        raise MailboxError(f"oauth_command {command[0]} exited {process.returncode}")
    return said[:_LARGEST].decode("utf-8", "replace").strip()


def _refreshed(settings: OAuthSettings, seconds: float) -> str:
    form = {
        "grant_type": "refresh_token",
        "client_id": settings.client_id,
        "refresh_token": settings.refresh_token_file.get_secret_value(),
    }
    if settings.client_secret_file:
        form["client_secret"] = settings.client_secret_file.get_secret_value()
    if settings.scope:
        form["scope"] = settings.scope
    request = urllib.request.Request(  # noqa: S310 (the settings take https only)
        settings.token_url, urlencode(form).encode()
    )
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:  # noqa: S310
            return str(json.loads(answer.read(_LARGEST))["access_token"])
    except HTTPError as error:
        kind = MailboxRefused if error.code in (400, 401) else MailboxError
        raise kind(f"{settings.token_url} answered {error.code} to the refresh token") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MailboxError(f"{settings.token_url} gave no token: {error}") from error
