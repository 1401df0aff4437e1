"""The domains of the return paths lead mail to a host that there is."""

from collections.abc import Iterator

from dns.exception import DNSException
from dns.name import root
from dns.rdtypes.ANY.MX import MX
from dns.resolver import NXDOMAIN, NoAnswer, NoNameservers, Resolver

from mtabounce.config import ListenAddress
from mtabounce.doctor._check import Check, Finding, Level, Patient
from mtabounce.errors import brief

_TITLE = "return-path"
_PATIENCE = 5.0  # seconds for all questions on one name


def _run(patient: Patient) -> Iterator[Finding]:
    paths = patient.given().receiver.return_paths
    domains = dict.fromkeys(path.rpartition("@")[2] for path in paths)
    if not domains:
        yield Finding(
            _TITLE,
            Level.OK,
            "no return path is set: mail to any address is taken, from this machine only",
        )
        return
    resolver = _resolver(patient.resolver)
    for domain in domains:
        yield _look(resolver, domain)


def _resolver(given: ListenAddress | None) -> Resolver:
    resolver = Resolver(configure=given is None)
    resolver.lifetime = _PATIENCE
    if given is not None:
        resolver.nameservers = [given.host]
        resolver.port = given.port
    return resolver


def _look(resolver: Resolver, domain: str) -> Finding:
    advice = f"publish: {domain}. IN MX 10 <the name of this host>."
    try:
        exchanges = _exchanges(resolver, domain)
        if not exchanges:
            return Finding(_TITLE, Level.FAIL, f"{domain} takes no mail (null MX)", advice)
        hosts = {host: _addresses(resolver, host) for host in exchanges}
    except NXDOMAIN:
        return Finding(_TITLE, Level.FAIL, f"{domain} does not exist in the DNS", advice)
    except (DNSException, OSError) as error:
        return Finding(_TITLE, Level.WARN, f"the DNS gives no answer about {domain}: {_why(error)}")
    lost = [host for host, addresses in hosts.items() if not addresses]
    if lost:
        mend = f"publish an A or AAAA record for {lost[0]}"
        return Finding(_TITLE, Level.FAIL, f"{domain}: MX {lost[0]} has no address", mend)
    told = ", ".join(f"{host} ({' '.join(addresses)})" for host, addresses in hosts.items())
    return Finding(_TITLE, Level.OK, f"mail for {domain} goes to {told}")


def _exchanges(resolver: Resolver, domain: str) -> list[str]:
    """Return the hosts that take mail for *domain*, best first; without MX it is itself."""
    try:
        found = [one for one in resolver.resolve(domain, "MX") if isinstance(one, MX)]
    except NoAnswer:
        return [domain]  # RFC 5321 §5.1: the implicit MX
    ranked = sorted(found, key=lambda one: one.preference)
    return [one.exchange.to_text(omit_final_dot=True) for one in ranked if one.exchange != root]


def _addresses(resolver: Resolver, host: str) -> list[str]:
    found: list[str] = []
    for kind in ("A", "AAAA"):
        try:
            found += [record.to_text() for record in resolver.resolve(host, kind)]
        except (NoAnswer, NXDOMAIN):
            continue
    return found


def _why(error: Exception) -> str:
    if isinstance(error, NoNameservers):
        return "no DNS server is set, or none could answer"
    return brief(error)


CHECK = Check(title=_TITLE, rank=60, run=_run)
