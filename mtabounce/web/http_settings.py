"""How HTTP is served: [http] of the configuration."""

from ipaddress import ip_network
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from mtabounce.config import ListenAddress, Section
from mtabounce.network import Mode, Network


class HttpSettings(Section):
    """The HTTP server: APIs, webhooks, health, metrics."""

    listen: ListenAddress = Field(
        default=ListenAddress("127.0.0.1", 9000), description="Where HTTP is served."
    )
    socket_mode: Mode = Field(default=0o660, description="The permissions of a Unix socket.")
    tls_certificate_file: Path | None = Field(
        default=None,
        description=(
            "A certificate chain (PEM), to serve HTTPS. Read anew on SIGHUP. Absent: plain HTTP, "
            "for a proxy of this machine."
        ),
    )
    tls_key_file: Path | None = Field(default=None, description="The key to it (PEM).")
    trusted_proxies: list[Network] = Field(
        default=[ip_network("127.0.0.1"), ip_network("::1")],
        description=(
            "Proxies whose X-Forwarded-For is believed, so that limits count the clients behind "
            "them. It is also believed over a Unix socket, and from nobody else."
        ),
    )
    max_connections: int = Field(default=1000, gt=0, description="Connections at a time.")
    max_connections_per_ip: int = Field(
        default=100,
        gt=0,
        description="Those from one address (IPv6: one /64). Trusted proxies have no limit.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_certificate_file and tls_key_file go together")
        return self
