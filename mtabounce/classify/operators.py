"""Who runs a mail server, by the tables of ``operators.toml``."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from mtabounce.errors import ConfigError

# Begins where a word does: tried at each letter, a long word would take its square.
_HOST = re.compile(r"(?<![a-z0-9_-])[a-z0-9_-]+(?:\.[a-z0-9_-]+)+")
_READ = 512  # characters; of a remote server's name, a hostile mail may hold many more
_LONGEST = 255  # RFC 1035 §2.3.4


@dataclass(frozen=True, slots=True)
class Operators:
    """Who runs a mail server, by the end of its host name."""

    domains: Mapping[str, str]  # "google.com" → "google"

    @classmethod
    def of_files(cls, paths: Iterable[Path]) -> Self:
        """
        Return the operators of all of *paths* that are there; later ones win.

        Raises ConfigError where a file is no table of lists of domains.
        """
        return cls({domain: name for path in paths for domain, name in _domains_in(path)})

    @property
    def names(self) -> dict[str, str]:
        """The operators, each with one of its domains."""
        return {name: domain for domain, name in self.domains.items()}

    def of(self, host: str) -> str:
        """Return the operator of *host* ("mx.example.com [192.0.2.1]" will do), "" if unknown."""
        found = _HOST.search(host[:_READ].lower())
        name = found[0] if found and len(found[0]) <= _LONGEST else ""
        while name:
            if name in self.domains:
                return self.domains[name]
            name = name.partition(".")[2]
        return ""

    def example_host(self, operator: str) -> str:
        """Return a host name that *operator* might have, for examples; "" for none."""
        return f"mx.{self.names[operator]}" if operator in self.names else ""


def _domains_in(path: Path) -> Iterable[tuple[str, str]]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error
    for name, domains in table.items():
        if not isinstance(domains, list) or not all(isinstance(each, str) for each in domains):
            raise ConfigError(f"{path}: {name}: must be a list of domains")
        for domain in domains:
            yield domain.lower(), name
