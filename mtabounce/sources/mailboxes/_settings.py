"""How mailboxes are set up: [[pop3]] and [[imap]] of the configuration."""

import os
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from mtabounce.config import Duration, SecretFile, Section, Size
from mtabounce.errors import ConfigError
from mtabounce.mask import harmless

_LONG = 8  # characters of a secret that no sentence holds by chance


def one_line(text: str) -> str:
    """Return *text*. Raises ValueError where it would be more than a word of a command."""
    if not text or not text.isprintable():
        raise ValueError("must be on one line, without control characters")
    return text


def secret_in(path: Path) -> str:
    """
    Return the secret that stands in the file *path* now.

    It is read when it is used, so that a file which is wrong stops this mailbox and nothing else,
    and a new password needs no restart. Raises ConfigError, without the secret.
    """
    try:
        secret = SecretFile.read(path).get_secret_value()
    except ValueError as error:
        raise ConfigError(str(error)) from None
    if not secret.isprintable():
        raise ConfigError(
            f"the secret in {path} holds a line break or another control character, which no"
            " password may hold"
        )
    return secret


class OAuthSettings(Section):
    """How tokens to log in with are made: from a refresh token (RFC 6749 §6), or without (§4.4)."""

    token_url: Annotated[str, AfterValidator(one_line)] = Field(
        description='Where tokens are made, such as "https://oauth2.googleapis.com/token".'
    )
    client_id: str = Field(description="The id of your application there.")
    client_secret_file: Path | None = Field(
        default=None, description="A file with its secret, where it has one."
    )
    refresh_token_file: Path | None = Field(
        default=None,
        description="A file with the refresh token. Where the server gives a new one with each"
        " token, as that of Microsoft 365 does, it is written there. Absent: the application asks"
        " in its own name, with its secret (client credentials).",
    )
    scope: str = Field(default="", description="The scope to ask for, where one is needed.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.token_url.startswith("https://"):
            raise ValueError("token_url must begin with https://")
        if self.refresh_token_file is None and self.client_secret_file is None:
            raise ValueError("set refresh_token_file, or client_secret_file, or both")
        return self


class MailboxSettings(Section):
    """A mailbox that bounces are fetched from."""

    name: Annotated[str, AfterValidator(one_line)] | None = Field(
        default=None, description="What to call it. Absent: username@host."
    )
    host: Annotated[str, AfterValidator(one_line)] = Field(description="The name of the server.")
    port: int | None = Field(
        default=None, ge=1, le=65535, description="Its port. Absent: the usual one."
    )
    username: Annotated[str, AfterValidator(one_line)] = Field(
        description="The name to log in with."
    )
    password_file: Path | None = Field(default=None, description="A file with the password.")
    tls: Literal["implicit", "starttls", "none"] = Field(
        default="implicit",
        description='How the connection is made safe; "none" sends the password in the clear.',
    )
    tls_ca_file: Path | None = Field(
        default=None, description="Certificates to trust (PEM). Absent: those of the system."
    )
    oauth_command: list[str] = Field(
        default=[], description="A command that prints an OAuth 2 token, instead of a password."
    )
    oauth: OAuthSettings | None = Field(
        default=None, description="How to get OAuth 2 tokens, instead of a password."
    )
    interval: Duration = Field(
        default=timedelta(minutes=5),
        ge=timedelta(seconds=10),
        description="How long to wait from one look into it to the next.",
    )
    keep: Literal["delete", "leave"] = Field(
        default="delete",
        description="What is done with a bounce once it is stored. All other mail is always left.",
    )
    max_size: Size = Field(
        default=10 * 2**20, gt=0, description="The largest mail to fetch; larger ones are left."
    )
    timeout: Duration = Field(
        default=timedelta(minutes=1),
        ge=timedelta(seconds=1),
        description="How long the server may take to answer.",
    )
    session_timeout: Duration = Field(
        default=timedelta(minutes=10),
        ge=timedelta(seconds=1),
        description="How long one session may last; the next one goes on.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        ways = [self.password_file is not None, bool(self.oauth_command), self.oauth is not None]
        if sum(ways) != 1:
            raise ValueError("set one of password_file, oauth_command and oauth")
        return self

    @property
    def title(self) -> str:
        """What the mailbox is called."""
        return self.name or f"{self.username}@{self.host}"

    @property
    def seconds(self) -> float:
        """How long the server may take to answer."""
        return self.timeout.total_seconds()

    def secret_files(self) -> list[Path]:
        """Return the files with the secrets to log in with."""
        files = [self.password_file]
        if self.oauth is not None:
            files += [self.oauth.client_secret_file, self.oauth.refresh_token_file]
        return [file for file in files if file is not None]

    def shown(self, said: str) -> str:
        """Return what a server *said* in one line, without our secrets: some repeat them."""
        for file in self.secret_files():
            with suppress(ConfigError):  # it was not sent, then
                secret = secret_in(file)
                # A short one may be a word of the answer; what is missing there would tell it.
                said = said.replace(secret, "***") if len(secret) >= _LONG else said
        return harmless(said.strip())[:200]

    def secrets_changed_at(self) -> datetime:
        """
        Return when the newest of them was written; one that is not there counts as old.

        So do those of systemd, which makes them anew with each start.
        """
        made = Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent"))
        files = [file for file in self.secret_files() if not file.is_relative_to(made)]
        times = [file.stat().st_mtime for file in files if file.exists()]
        return datetime.fromtimestamp(max(times, default=0.0), tz=UTC)

    def context(self) -> ssl.SSLContext:
        """Return how TLS is done: verified, 1.2 at least. Raises ConfigError for tls_ca_file."""
        try:
            context = ssl.create_default_context(cafile=self.tls_ca_file)
        except OSError as error:
            raise ConfigError(
                f"tls_ca_file: {self.tls_ca_file}: {error.strerror or error}"
            ) from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


class ImapSettings(MailboxSettings):
    """An IMAP folder that bounces are fetched from."""

    folder: Annotated[str, AfterValidator(one_line)] = Field(
        default="INBOX", description="The folder to look into."
    )


class Pop3Settings(MailboxSettings):
    """A POP3 mailbox that bounces are fetched from."""

    apop: bool = Field(
        default=False, description="Whether to log in by APOP, which hides the password."
    )
