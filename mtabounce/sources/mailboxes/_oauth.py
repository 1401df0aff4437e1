"""OAuth 2 tokens to log in with: from a command of the user's, or by a refresh token."""

import asyncio
import json
import logging
import shutil
import urllib.request
from asyncio.subprocess import PIPE
from contextlib import suppress
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode

from mtabounce.mask import harmless
from mtabounce.sources.mailboxes._mailbox import (
    MailboxError,
    MailboxRefused,
)
from mtabounce.sources.mailboxes._settings import MailboxSettings, OAuthSettings, secret_in

log = logging.getLogger(__name__)

_LARGEST = 64 * 1024  # octets of an answer, or of what the command prints


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Secrets go to where the settings say, and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        """Take a redirect for an error."""


_OPENER = urllib.request.build_opener(_NoRedirect)


async def token_for(settings: MailboxSettings) -> str:
    """Return a token. Raises MailboxError, MailboxRefused where the grant is no longer good."""
    if settings.oauth is not None:
        token = await asyncio.to_thread(_granted, settings.oauth, settings.seconds)
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


def _granted(settings: OAuthSettings, seconds: float) -> str:
    """Return the token that the server gives, and keep the new refresh token where it gives one."""
    request = urllib.request.Request(  # noqa: S310 (the settings take https only)
        settings.token_url, urlencode(_form(settings)).encode()
    )
    try:
        with _OPENER.open(request, timeout=seconds) as answer:
            told = json.loads(answer.read(_LARGEST))
        token = str(told["access_token"])
    except HTTPError as error:
        kind = MailboxRefused if error.code in (400, 401) else MailboxError
        raise kind(f"{settings.token_url} answered {error.code}{_why(error)}") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MailboxError(f"{settings.token_url} gave no token: {error}") from error
    _keep(settings, told.get("refresh_token"))
    return token


def _form(settings: OAuthSettings) -> dict[str, str]:
    form = {"client_id": settings.client_id}
    if settings.refresh_token_file:
        form["grant_type"] = "refresh_token"
        form["refresh_token"] = secret_in(settings.refresh_token_file)
    else:
        form["grant_type"] = "client_credentials"
    if settings.client_secret_file:
        form["client_secret"] = secret_in(settings.client_secret_file)
    if settings.scope:
        form["scope"] = settings.scope
    return form


def _why(error: HTTPError) -> str:
    """Return what the server says of its refusal (RFC 6749 §5.2), on one line."""
    try:
        with error:
            told = json.loads(error.read(_LARGEST))
        words = [str(told[name]) for name in ("error", "error_description") if name in told]
    except (OSError, ValueError, TypeError):
        return ""
    text = ": ".join(" ".join(word.split()) for word in words)
    return f": {harmless(text)[:300]}" if text else ""


def _keep(settings: OAuthSettings, fresh: object) -> None:
    """Put the refresh token *fresh* in the place of the one that was used: that one will expire."""
    path = settings.refresh_token_file
    if path is None or not isinstance(fresh, str) or not fresh or fresh == secret_in(path):
        return
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.touch(mode=0o600)
        shutil.copymode(path, beside)
        beside.write_text(f"{fresh}\n")
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        log.warning("the new refresh token cannot be kept: %s: %s", path, error.strerror)
