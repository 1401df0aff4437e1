"""Where bounces come in by SMTP and LMTP: [receiver] of the configuration."""

import re
import socket
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from mtabounce.config import Duration, ListenAddress, Section, Size
from mtabounce.config.values import quoted
from mtabounce.listen import is_local
from mtabounce.network import Mode, Network
from mtabounce.sources._paths import is_return_path

OPEN_RELAY = (
    "return_paths is empty, so mail to any address would be taken from the network: set it, as "
    'in return_paths = ["bounces@bounces.example.org"], or listen on 127.0.0.1 only'
)


def _return_path(text: str) -> str:
    if not is_return_path(text):
        raise ValueError(f'expected "name@domain" or "@domain", found {quoted(text)}')
    return text


def _hostname(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._:\[\]-]{1,255}", text):
        raise ValueError(f'expected a name such as "mail.example.org", found "{text}"')
    return text


ReturnPath = Annotated[str, AfterValidator(_return_path)]


class ReceiverSettings(Section):
    """Where bounces come in by SMTP or LMTP, and which of them are taken."""

    listen: list[ListenAddress] = Field(
        default=[ListenAddress("127.0.0.1", 2525)], description="Where to listen for SMTP."
    )
    lmtp_listen: list[ListenAddress] = Field(
        default=[], description='Where to listen for LMTP, such as "/run/mtabounce/lmtp.sock".'
    )
    socket_mode: Mode = Field(default=0o660, description="The permissions of Unix sockets.")
    return_paths: list[ReturnPath] = Field(
        default=[],
        description=(
            'The addresses to take mail for: "bounces@b.example.org", also with "+anything" '
            'after the name, or "@b.example.org" for all of a domain. Without any, all are '
            "taken, but then only programs of this machine may be able to connect."
        ),
    )
    hostname: Annotated[str, AfterValidator(_hostname)] = Field(
        default_factory=socket.gethostname,
        description="The name given to clients. Default: that of the machine.",
        json_schema_extra={"default": '"mail.example.org"'},
    )
    tls_certificate_file: Path | None = Field(
        default=None,
        description="A certificate chain (PEM), to offer STARTTLS with. Read anew on SIGHUP.",
    )
    tls_key_file: Path | None = Field(default=None, description="The key to it (PEM).")
    max_size: Size = Field(default=10 * 2**20, gt=0, description="The largest mail to take.")
    max_connections: int = Field(default=100, gt=0, description="Connections at a time.")
    max_connections_per_ip: int = Field(
        default=10,
        gt=0,
        description="Those from one address (IPv6: one /64). Trusted peers have no limit.",
    )
    trusted_peers: list[Network] = Field(
        default=[ip_network("127.0.0.1"), ip_network("::1")],
        description=(
            "Your own mail servers. What they write themselves counts as proven. So does what "
            "comes over a Unix socket."
        ),
    )
    idle_timeout: Duration = Field(
        default=timedelta(seconds=30), description="How long a client may take to go on."
    )
    transaction_timeout: Duration = Field(
        default=timedelta(minutes=5), description="How long a client may take for one mail."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_certificate_file and tls_key_file go together")
        if not self.return_paths and not all(map(is_local, [*self.listen, *self.lmtp_listen])):
            raise ValueError(OPEN_RELAY)
        return self
