"""Who runs a mail server, by the table of ``rules/operators.toml``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_HOST = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)+")


@dataclass(frozen=True, slots=True)
class Operators:
    """Who runs a mail server, by the end of its host name."""

    domains: Mapping[str, str]  # "google.com" → "google"

    def of(self, host: str) -> str:
        """Return the operator of *host* ("mx.example.com [192.0.2.1]" will do), "" if unknown."""
        found = _HOST.search(host.lower())
        name = found[0] if found else ""
        while name:
            if name in self.domains:
                return self.domains[name]
            name = name.partition(".")[2]
        return ""

    def example_host(self, operator: str) -> str:
        """Return a host name that *operator* might have, for examples."""
        return next(f"mx.{domain}" for domain, name in self.domains.items() if name == operator)
