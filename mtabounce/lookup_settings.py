"""Where Postfix asks whom to refuse: [lookup] of the configuration."""

from datetime import timedelta
from ipaddress import ip_network

from pydantic import Field

from mtabounce.config import Duration, ListenAddress, Section
from mtabounce.network import Network


class LookupSettings(Section):
    """Where Postfix asks whom to refuse; see contrib/postfix/README.md."""

    listen: list[ListenAddress] = Field(
        default=[],
        description='Where to listen, such as "127.0.0.1:2527". Whoever can connect can ask who is'
        " suppressed. Absent: nowhere.",
    )
    own_networks: list[Network] = Field(
        default=[ip_network("127.0.0.0/8"), ip_network("::1/128")],
        description="Whose mail is ours: a client in one of these, or one that has logged in, may"
        " not mail suppressed addresses. Mail that others send in is never refused.",
    )
    timeout: Duration = Field(
        default=timedelta(seconds=1),
        ge=timedelta(seconds=1),
        le=timedelta(minutes=1),
        description="How long PostgreSQL may take to answer; after that nobody is refused.",
    )
