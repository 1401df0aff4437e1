"""
Mail addresses by a grammar of our own: one address, or none.

``email.utils.parseaddr`` is not used for identity: it has picked the wrong one of two addresses
(CVE-2023-27043). The grammar is RFC 5321's with what the world has beside it: dots in a row and
at the end of local parts (Japanese carriers), UTF-8 (RFC 6531), underscores in domains.

Domains are mapped as browsers and registries do (UTS #46, not transitional): straße.de is not
strasse.de. Signs that IDNA 2008 leaves out, such as emoji, stay; there are domains with them.
`mtabounce.address_key()` in SQL gives the same keys.
"""

import re
import unicodedata
from functools import lru_cache

import idna

LENGTH_LIMIT = 320  # octets: 64 + "@" + 255, however they are shared out

_ATOM = r"[^\x00-\x20\x7f-\xa0\"(),:;<>@\[\]\\\ud800-\udfff]"
_QUOTED = r'"(?:[^\x00-\x1f\x7f"\\\ud800-\udfff]|\\[\x20-\x7e])*"'
_LABEL = r"[^\x00-\x2c\x2e\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\xa0\ud800-\udfff]+"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*\.?|\[[0-9A-Za-z.:-]+\]"
_ADDRESS = re.compile(rf"({_ATOM}+|{_QUOTED})@({_DOMAIN})")
_LOCAL = re.compile(rf"{_ATOM}+|{_QUOTED}")
_NEEDLESS_QUOTES = re.compile(r'"([A-Za-z0-9!#$%&\'*+/=?^_`{|}~.-]+)"')
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_LABEL_LIMIT = 63  # octets, RFC 1035 §2.3.4
_JOINERS = "\u200c\u200d"  # seen only in scripts that need them, RFC 5892 appendix A
_ROUTE = re.compile(r"@[^\s:<>]+:")  # RFC 5321 §4.1.2: accepted, ignored


def parse(text: str) -> str:
    """
    Return the one address in *text* as it is written; "" where there is none, or some doubt.

    Takes ``a@b``, ``<a@b>`` and ``Name <a@b>``.
    """
    text = text.strip()
    if "<" in text:
        _, _, rest = text.partition("<")
        text, closed, after = rest.partition(">")
        if closed and after.strip():
            return ""
    text = text.strip()
    if text.startswith("@") and (route := _ROUTE.match(text)):
        text = text[route.end() :]
    text = text.removesuffix(".")  # the root's, or of the sentence
    return text if is_address(text) else ""


def is_address(text: str) -> bool:
    """Whether *text* is one whole address, with a domain."""
    return len(text) <= LENGTH_LIMIT and _ADDRESS.fullmatch(text) is not None


def is_local_part(text: str) -> bool:
    """Whether *text* could be a recipient that its MTA named without a domain."""
    return 0 < len(text) <= LENGTH_LIMIT and _LOCAL.fullmatch(text) is not None


def with_quotes(address: str) -> str:
    """Return *address* with its local part, which is bare, in quotes (RFC 5321 §4.1.2)."""
    local, _, domain = address.rpartition("@")
    return '"' + re.sub(r'(["\\])', r"\\\1", local) + f'"@{domain}'


@lru_cache(maxsize=4096)
def normalize(address: str) -> str:
    """
    Return the key by which addresses are compared: all in lower case, the domain in A-labels.

    Raises ValueError where *address* is no address.
    """
    found = _ADDRESS.fullmatch(address.strip()) if len(address) <= LENGTH_LIMIT * 2 else None
    if found is None:
        raise ValueError(f"not an address: {address[:LENGTH_LIMIT]!r}")
    local = _small(found[1])
    if bare := _NEEDLESS_QUOTES.fullmatch(local):
        local = bare[1]
    try:
        key = f"{local}@{_a_labels(found[2])}"
    except ValueError as error:
        raise ValueError(f"not an address: {address.strip()[:80]!r}: {error}") from None
    if len(key.encode()) > LENGTH_LIMIT:
        raise ValueError(f"longer than {LENGTH_LIMIT} octets: {address[:40]!r}…")
    return key


def recipient_key(address: str) -> str:
    """Return *address* as recipients are stored, also where it is a name without a domain."""
    try:
        return normalize(address)
    except ValueError:
        return _small(address.strip())


def parsed_domain(address: str) -> str:
    """
    Return the domain of *address* in A-labels and lower case.

    Raises ValueError where *address* is no address.
    """
    return normalize(address).rpartition("@")[2]


def domain_key(domain: str) -> str:
    """Return *domain* as domains are compared, in A-labels; what can be none only in lower case."""
    try:
        return _a_labels(domain)
    except ValueError:
        return domain.lower()


def sender_domain(text: str) -> str:
    """Return the domain of a From header or a reverse path, as domain_key() has it; "": none."""
    return domain_key(parse(text).rpartition("@")[2])


def written_out(domain: str) -> str:
    """Return a domain in A-labels as people write it; unchanged where there is no other way."""
    labels = [_u_label(label) for label in domain.split(".")]
    text = ".".join(labels)
    return text if domain_key(text) == domain else domain


def spellings(address: str) -> list[str]:
    """Return *address*, normalized, and as people write it where its domain is no plain ASCII."""
    local, _, domain = address.rpartition("@")
    return list(dict.fromkeys([address, f"{local}@{written_out(domain)}"] if local else [address]))


def _small(text: str) -> str:
    """Return *text* in lower case, in which a sigma at the end of a word is as any other."""
    text = unicodedata.normalize("NFD", text).lower().replace("ς", "σ")
    return unicodedata.normalize("NFC", text)


def _a_labels(domain: str) -> str:
    if domain.isascii():
        return domain.rstrip(".").lower()
    plain = unicodedata.normalize("NFD", domain)  # that marks come in one order
    mapped = idna.uts46_remap(plain, std3_rules=False, transitional=False)  # or a ValueError
    if not _HOST.fullmatch(mapped):  # of a full-width "@" came a plain one
        raise ValueError("a domain has a sign that none may have")
    return ".".join(map(_a_label, mapped.rstrip(".").split(".")))


def _a_label(label: str) -> str:
    if label.isascii():
        return label
    if len(label) > _LABEL_LIMIT:  # before it is encoded: that is quadratic
        raise ValueError(f"a label of a domain is longer than {_LABEL_LIMIT} octets")
    joiners = (at for at, letter in enumerate(label) if letter in _JOINERS)
    if not all(idna.valid_contextj(label, at) for at in joiners):
        raise ValueError("a domain has an invisible sign between its letters")
    encoded = "xn--" + label.encode("punycode").decode("ascii")
    if len(encoded) > _LABEL_LIMIT:
        raise ValueError(f"a label of a domain is longer than {_LABEL_LIMIT} octets")
    return encoded


def _u_label(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return label
