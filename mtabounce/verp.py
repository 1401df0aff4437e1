"""
What stands in a return path: a signed token of ours, plain VERP, BATV or SRS. Pure.

A signed return path is ``b+KEEEID-MAC@domain``, all in lower case, as local parts get folded on
their way: K names the key, EEE is the day it expires on (days since 1970 mod 32,768, three base32
digits), ID is the number of what it was made for, and MAC are 80 bits of HMAC-SHA256 over all of
it and the domain. Without the key nobody can make one, nor turn one into another.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mtabounce.address import is_address

ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"  # base32 (RFC 4648 §6) in lower case
MAC_LENGTH = 16  # digits: 80 bits
LOCAL_LIMIT = 64  # octets (RFC 5321 §4.5.3.1.1)
LONGEST_LIFE = 366  # days; what expires later was not made by us
_DAYS = 32**3
_ID_LIMIT = 24  # digits
_BLOCK = 64  # octets of a block of SHA-256 (RFC 2104)
_SIGNED = re.compile(
    rf"b\+([a-z2-7])([a-z2-7]{{3}})([a-z0-9]{{1,{_ID_LIMIT}}})-([a-z2-7]{{{MAC_LENGTH}}})"
    r"@([a-z0-9.-]{1,253})"
)
_BATV = re.compile(
    r"prvs=(?:[0-9]{4}[0-9a-f]{6}=(.+)|([^/]+)/[0-9]{4}[0-9a-f]{6})@(.+)", re.IGNORECASE
)
_SRS0 = re.compile(r"SRS0[=+-][^=]+=[^=]+=([^=]+)=(.+)@.+", re.IGNORECASE)
_SRS1 = re.compile(r"SRS1[=+-][^=]+=[^=]+=[=+-][^=]+=[^=]+=([^=]+)=(.+)@.+", re.IGNORECASE)
_VERP = re.compile(r"[^+]+\+(.+)=([^=]+)@.+")


class Result(StrEnum):
    """What a return path turned out to be."""

    GENUINE = "genuine"
    EXPIRED = "expired"  # made with a key of ours, too long ago
    FORGED = "forged"  # the MAC is wrong
    UNKNOWN_KEY = "unknown_key"
    FOREIGN = "foreign"  # has the form of ours, in another domain
    UNSIGNED = "unsigned"


@dataclass(frozen=True, slots=True)
class Checked:
    """A return path, and what it says where it was made with a key of ours."""

    result: Result
    number: int = 0  # 0: it does not say, or is not to be believed
    expires: int = 0  # the day, mod 32,768

    @property
    def is_proof(self) -> bool:
        """Whether what comes to it comes from those who got the mail, or handled it."""
        return self.result is Result.GENUINE and self.number > 0

    @property
    def is_signed(self) -> bool:
        """Whether we made it, be it expired or not."""
        return self.result in (Result.GENUINE, Result.EXPIRED)


@dataclass(frozen=True, slots=True)
class Pads:
    """A key as HMAC uses it (RFC 2104): all that it takes is SHA-256, which SQL has, too."""

    inner: bytes
    outer: bytes


@dataclass(frozen=True, slots=True)
class Keyring:
    """
    The keys by their ids; the first one signs, all are believed.

    An id is one of the digits of base32. *lifetime* is in days, at most 366.
    """

    domain: str = ""
    keys: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    lifetime: int = 40

    def sign(self, number: int, day: int) -> str:
        """
        Return the return path for *number* (above 0), made on *day* (days since 1970, UTC).

        Raises ValueError where there is no key.
        """
        if not self.keys:
            raise ValueError("there is no key to sign return paths with")
        key = next(iter(self.keys))
        token = f"{key}{_three(day + self.lifetime)}{encode_number(number)}"
        return f"b+{token}-{self._mac(key, token)}@{self.domain}"

    def check(self, path: str, day: int) -> Checked:
        """Return what *path* is on *day*, whatever its case; takes the same time for all."""
        found = _SIGNED.fullmatch(path.lower()) if len(path) <= LOCAL_LIMIT + 254 else None
        if found is None or not path.isascii():
            return Checked(Result.UNSIGNED)
        key, expires, number, mac, domain = found.groups()
        if domain != self.domain:
            return Checked(Result.FOREIGN)
        is_right = hmac.compare_digest(mac, self._mac(key, f"{key}{expires}{number}"))
        if key not in self.keys:
            return Checked(Result.UNKNOWN_KEY)
        if not is_right:
            return Checked(Result.FORGED)
        last = _number(expires)
        is_live = (last - day) % _DAYS <= LONGEST_LIFE
        return Checked(Result.GENUINE if is_live else Result.EXPIRED, _number(number), last)

    def _mac(self, key: str, token: str) -> str:
        secret = self.keys.get(key, b"of no use")  # an unknown key takes as long as a known one
        text = f"v1|{key}{token[1:4]}|{token[4:]}|{self.domain}"
        return _base32(hmac.digest(secret, text.encode(), "sha256"))[:MAC_LENGTH]


def pads(secret: bytes) -> Pads:
    """Return *secret* as the two blocks that HMAC-SHA256 puts before what it digests."""
    block = hashlib.sha256(secret).digest() if len(secret) > _BLOCK else secret
    block = block.ljust(_BLOCK, b"\0")
    return Pads(bytes(octet ^ 0x36 for octet in block), bytes(octet ^ 0x5C for octet in block))


def encode_number(number: int) -> str:
    """Return *number* in base32 digits, the highest first. Raises ValueError below 1."""
    if number < 1:
        raise ValueError(f"return paths are made for numbers above 0, not {number}")
    digits = ""
    while number:
        digits = ALPHABET[number & 31] + digits
        number >>= 5
    return digits


def unwrapped(path: str) -> str:
    """Return what others wrapped in BATV (``prvs=``) or SRS; *path* itself where nobody did."""
    for _ in range(3):  # a forwarder's SRS around a sender's BATV; nobody needs more
        if found := _BATV.fullmatch(path):
            path = f"{found[1] or found[2]}@{found[3]}"
        elif found := _SRS1.fullmatch(path) or _SRS0.fullmatch(path):
            path = f"{found[2]}@{found[1]}"
        else:
            break
    return path


def verp_recipient(path: str) -> str:
    """Return the recipient in plain VERP, ``list+user=domain@…``; "" where there is none."""
    found = _VERP.fullmatch(path)
    recipient = f"{found[1]}@{found[2]}" if found else ""
    return recipient if is_address(recipient) else ""


def _three(day: int) -> str:
    day %= _DAYS
    return ALPHABET[day >> 10] + ALPHABET[day >> 5 & 31] + ALPHABET[day & 31]


def _number(digits: str) -> int:
    """Return the number that *digits* write; 0 where they write none of ours."""
    number = 0
    for digit in digits:
        value = ALPHABET.find(digit)
        if value < 0:
            return 0
        number = number << 5 | value
    return number if number < 2**63 else 0


def _base32(octets: bytes) -> str:
    bits = int.from_bytes(octets[:10], "big")
    return "".join(ALPHABET[bits >> shift & 31] for shift in range(75, -1, -5))
