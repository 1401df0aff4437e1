"""
Reverse-paths and forward-paths as MAIL and RCPT give them (RFC 5321 §4.1.1.2, §4.1.1.3).

Both have patterns of their own: the parser of email headers took a fifth of the time of a mail,
and read addresses that are none (CVE-2023-27043). Forward-paths are read strictly, as only ours
are wanted; reverse-paths are read loosely, as a bounce may come from any kind of sender.
"""

import re
from collections.abc import Callable, Iterable

from mtabounce.address import normalize, parsed_domain

# No "%" or "!" (old ways to have a mail relayed), no quotes, routes, literals or controls.
_ATOM = r"[^\x00-\x20\x7f-\x9f<>()\[\]\\,;:@\"%!\ufffd]"
_FORWARD = re.compile(
    rf"TO:[ \t]*(<)?({_ATOM}{{1,254}}@{_ATOM}{{1,254}})(?(1)>)(?![^ ])", re.IGNORECASE
)
# A quoted local part may hold angle brackets; the alternatives never overlap.
_REVERSE = re.compile(
    r'FROM:[ \t]*(?:<((?:"(?:[^"\\\x00-\x1f]|\\.)*"|[^"<>\x00-\x1f\x7f])*)>|([^\s<>"]+))(.*)',
    re.IGNORECASE,
)
_ROUTE = re.compile(r"@[^:]*:")
_SIZE = re.compile(r" SIZE=(\d+)(?![^ ])", re.IGNORECASE)
_OWN = re.compile(rf"{_ATOM}*@{_ATOM}+")

IsOurs = Callable[[str], bool]


def forward_path(arg: str) -> str | None:
    """Return the address of RCPT's argument *arg*; None where it can be none of ours."""
    found = _FORWARD.match(arg)
    return found[2] if found and len(found[2]) <= 254 else None


def reverse_path(arg: str) -> tuple[str, int] | None:
    """
    Return the address ("" for the null sender) and the SIZE (0: not given) of MAIL's *arg*.

    Other parameters (BODY, SMTPUTF8, RET, ENVID, …) ask nothing of the last hop, and are passed
    over. None where *arg* is not of MAIL's form.
    """
    found = _REVERSE.fullmatch(arg)
    if not found:
        return None
    size = _SIZE.search(found[3])
    return _ROUTE.sub("", found[1] or found[2] or "", count=1), _number(size[1]) if size else 0


def is_return_path(text: str) -> bool:
    """Return whether *text* can stand in ``return_paths``: an address, or "@" and a domain."""
    return _OWN.fullmatch(text) is not None


def own_addresses(return_paths: Iterable[str]) -> IsOurs:
    """
    Return the test whether a forward-path is one of *return_paths*, whatever its case.

    "@b.example.org" stands for each address of that domain; "bounces@b.example.org" for itself
    and for "bounces+anything@b.example.org". Without any, every address is ours.
    """
    own = frozenset(map(_key, return_paths))

    def is_ours(path: str) -> bool:
        local, _, domain = _key(path).rpartition("@")
        known = (f"@{domain}", f"{local}@{domain}", f"{local.partition('+')[0]}@{domain}")
        return not own.isdisjoint(known)

    return is_ours if own else lambda _: True


def _key(path: str) -> str:
    """Return *path* for comparison; a domain of other letters in A-labels (RFC 5891)."""
    if path.isascii():
        return path.lower()
    try:
        return normalize(path) if path[0] != "@" else "@" + parsed_domain(f"x{path}")
    except ValueError:
        return ""


def _number(digits: str) -> int:
    return int(digits[:20])  # 20 digits are larger than any limit, and quick to read
