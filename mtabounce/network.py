"""Clients on the network: which addresses count as one, and how TLS is offered to them."""

import ssl
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated

from pydantic import PlainValidator

from mtabounce.config.values import Words
from mtabounce.errors import ConfigError


def _network(value: object) -> IPv4Network | IPv6Network:
    try:
        return ip_network(str(value))
    except ValueError as error:
        # "has host bits set" is worth telling; the class's own name for the value is not.
        raise ValueError(
            f'expected an address or a network such as "192.0.2.0/24": {error}'
        ) from None


Network = Annotated[IPv4Network | IPv6Network, PlainValidator(_network), Words("network")]


def network_of(host: str) -> str:
    """Return what limits count *host* as: its address, of IPv6 its /64; what is none, as it is."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host[:100]
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return str(address.ipv4_mapped)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, 64), strict=False))
    return str(address)


def tls_context(section: str, certificate: Path, key: Path | None) -> ssl.SSLContext:
    """
    Return what offers TLS 1.2 and newer with *certificate* and *key*.

    Raises ConfigError, which names *section*, where they cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:  # ssl.SSLError is one, too
        raise ConfigError(
            f"[{section}] tls_certificate_file: {certificate} with {key}: {error.strerror or error}"
        ) from error
    return context
