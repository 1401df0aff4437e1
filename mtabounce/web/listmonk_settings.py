"""The section [listmonk]: those settings of listmonk that change what its API answers."""

from typing import Annotated

from pydantic import AfterValidator, Field

from mtabounce.address import parsed_domain
from mtabounce.config import Section


def _domains(names: tuple[str, ...]) -> tuple[str, ...]:
    """
    Return *names* as domains are compared, those with a star without it, too, as in listmonk.

    Raises ValueError where one is no domain.
    """
    found = [_domain(name) for name in names]
    return tuple(dict.fromkeys(one for name in found for one in (name, name.removeprefix("*."))))


def _domain(name: str) -> str:
    bare = name.removeprefix("*.")
    try:
        return name.removesuffix(bare) + parsed_domain(f"x@{bare}")
    except ValueError:
        wanted = "write example.org, or *.example.org"
        raise ValueError(f"'{name}' is no domain; {wanted}") from None


_Domains = Annotated[tuple[str, ...], AfterValidator(_domains)]


class ListmonkSettings(Section):
    """Settings that listmonk has, too, for what is posted to /webhooks/bounce."""

    enabled: bool = Field(
        default=True,
        description=(
            "Whether POST /webhooks/bounce takes bounces; listmonk's bounce.enabled. If not, it"
            " answers 503."
        ),
    )
    domain_allowlist: _Domains = Field(
        default=(),
        description=(
            "Bounces of addresses in other domains are refused with 400, and are not stored;"
            ' "*.example.org" stands for example.org and one label more. Absent: all are taken.'
        ),
    )
    domain_blocklist: _Domains = Field(
        default=(),
        description=(
            "Bounces of addresses in these domains are refused likewise. It has no effect beside"
            " domain_allowlist, as in listmonk."
        ),
    )

    def refuses(self, domain: str) -> bool:
        """Tell whether bounces of addresses in *domain*, in lower case, are refused."""
        _, _, above = domain.partition(".")
        names = {domain, f"*.{above}"} if "." in above else {domain}  # "*.org" is not example.org
        if self.domain_allowlist:
            return not names & set(self.domain_allowlist)
        return bool(names & set(self.domain_blocklist))
