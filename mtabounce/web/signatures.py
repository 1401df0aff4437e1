"""
The ways in which a webhook proves who sent it: one function each, all from values to values.

Each raises Refused(401) where the proof is missing, wrong or stale. Secrets are compared in
constant time, and are in no message.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NoReturn
from urllib.parse import parse_qsl, unquote

import jmespath
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mtabounce.config.values import parse_duration
from mtabounce.errors import ConfigError
from mtabounce.web.request import Posted, Refused

TOLERANCE = 300.0  # seconds between the clocks, and on the way
_NUMBER = re.compile(r"\d{1,16}(?:\.\d{1,9})?", re.ASCII)
_MILLISECONDS = 1e11

Table = Mapping[str, Any]
Verify = Callable[[Table, Sequence[str], Posted, datetime], None]


def refuse(why: str) -> NoReturn:
    """Raise Refused(401): every failure to authenticate looks the same to a client."""
    raise Refused(401, why)


def same(one: bytes | str, other: bytes | str) -> bool:
    """Compare secrets in constant time."""
    return hmac.compare_digest(_octets(one), _octets(other))


def any_same(given: Iterable[str], wanted: Sequence[str]) -> bool:
    """Compare each of *given* with each of *wanted*, all of them, whichever fits."""
    return sum(same(one, other) for one in given for other in wanted) > 0


def _octets(value: bytes | str) -> bytes:
    return value if isinstance(value, bytes) else value.encode(errors="surrogateescape")


def basic(username: str, passwords: Iterable[str], posted: Posted) -> None:
    """Check HTTP basic authentication (RFC 7617); URLs may have percent-encoded it."""
    kind, _, packed = posted.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        refuse("no user name and password")
    try:
        given = base64.b64decode(packed.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        refuse("the Authorization header is broken")
    wanted = [f"{username}:{password}" for password in passwords]
    if not any_same({given, unquote(given)}, wanted):
        refuse("wrong user name or password")


def token(table: Table, tokens: Sequence[str], posted: Posted) -> None:
    """Check a shared secret: in a header of the provider's, as Bearer, or in the query."""
    bearer = posted.headers.get("authorization", "")
    given = [
        posted.headers.get(str(table.get("header", "x-webhook-token")).lower(), ""),
        bearer[7:].strip() if bearer[:7].lower() == "bearer " else "",
        posted.query.get(str(table.get("query", "token")), ""),
    ]
    if not any_same([one for one in given if one], tokens):
        refuse("wrong token" if any(given) else "no token")


def _hmac(table: Table, secrets: Sequence[str], posted: Posted, now: datetime) -> None:
    values = _parts(table, posted)
    over = str(table["over"])
    if "{ts}" in over:
        fresh(values["ts"], table, now)
    signed = b"".join(_filled(part, values, posted.body) for part in _pieces(over))
    digest = str(table.get("digest", "sha256"))
    encode = _encoder(str(table.get("encoding", "hex")))
    made = [encode(hmac.digest(secret.encode(), signed, digest)) for secret in secrets]
    given = _candidates(values["signature"])
    if not given:
        refuse("no signature")
    if not any_same(given, made):
        refuse("wrong signature")


@lru_cache(256)
def _pieces(over: str) -> tuple[str, ...]:
    return tuple(part for part in re.split(r"(\{\w+\})", over) if part)


def _filled(part: str, values: Mapping[str, str], body: bytes) -> bytes:
    if part == "{body}":
        return body
    return values.get(part[1:-1], "").encode() if part.startswith("{") else part.encode()


def _encoder(kind: str) -> Callable[[bytes], str]:
    return bytes.hex if kind == "hex" else lambda value: base64.b64encode(value).decode()


def _candidates(signature: str) -> list[str]:
    """Return each signature of a header that may hold several: ``v1=a,v1=b``, ``sha256=a``."""
    found = (part.strip() for part in re.split(r"[ ,;]", signature))
    return [re.sub(r"^(?:v1|sha256|s)=", "", part) for part in found if part][:10]


def _parts(table: Table, posted: Posted) -> dict[str, str]:
    if "header" not in table:
        return _parts_of_body(table, posted)
    value = posted.headers.get(str(table["header"]).lower(), "")
    names = {"ts": "timestamp", "id": "id", "event": "event"}
    parts = {
        name: posted.headers.get(str(table.get(key, "-")).lower(), "")
        for name, key in names.items()
    }
    if table.get("fields"):
        pairs = [part.strip().partition("=") for part in re.split(r"[,;]", value)]
        parts["ts"] = next((text for key, _, text in pairs if key in ("t", "ts")), "")
        value = ",".join(text for key, _, text in pairs if key in ("v1", "s"))
    return parts | {"signature": value}


def _parts_of_body(table: Table, posted: Posted) -> dict[str, str]:
    document = document_of(posted)
    found = {
        name: jmespath.search(str(table[key]), document)
        for name, key in (("ts", "timestamp"), ("token", "token"), ("signature", "signature"))
    }
    return {name: str(value) for name, value in found.items() if isinstance(value, str | int)} | {
        name: "" for name, value in found.items() if not isinstance(value, str | int)
    }


def document_of(posted: Posted) -> Any:
    """Return the body as JSON or a form. Raises Refused where it is neither."""
    try:
        is_json = posted.body.lstrip()[:1] in (b"{", b"[")  # whatever the headers say
        if not is_json and "form" in posted.headers.get("content-type", ""):
            return dict(parse_qsl(posted.body.decode(), True, max_num_fields=1000))
        return json.loads(posted.body)
    except (ValueError, RecursionError):
        raise Refused(400, "the body cannot be read") from None


def fresh(value: str, table: Table, now: datetime) -> None:
    """Check the moment that a signature tells. Raises Refused where it is not about now."""
    if not _NUMBER.fullmatch(value):
        refuse("no time in the signature")
    seconds = float(value)
    seconds = seconds / 1000 if seconds > _MILLISECONDS else seconds
    kept = table.get("tolerance")
    allowed = parse_duration(kept).total_seconds() if kept else TOLERANCE
    late = now.timestamp() - seconds
    if late > allowed or late < -TOLERANCE:
        refuse("the signature is stale")


def _standard(table: Table, secrets: Sequence[str], posted: Posted, now: datetime) -> None:
    """Check what Standard Webhooks prescribes, and Svix, which it was made from."""
    get = posted.headers.get
    prefix = next((one for one in (table["prefix"], "webhook-", "svix-") if get(f"{one}id")), "-")
    number, ts = get(f"{prefix}id", ""), get(f"{prefix}timestamp", "")
    given = [part.removeprefix("v1,") for part in get(f"{prefix}signature", "").split()[:10]]
    fresh(ts, table, now)
    signed = f"{number}.{ts}.".encode() + posted.body
    keys = [key_of(secret, raw=table.get("secret") == "raw") for secret in secrets]
    made = [base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys]
    if not any_same(given, made):
        refuse("wrong signature")


def key_of(secret: str, *, raw: bool) -> bytes:
    """Return the key that a secret of Standard Webhooks stands for."""
    if raw:
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        return secret.encode()


def _public_key(text: str) -> Any:
    """Read a key as people paste it: PEM, or bare base64 with quotes or blanks."""
    bare = re.sub(r"-----[A-Z ]+-----|[\s\"']|\\n|^p=", "", text)
    try:
        return load_der_public_key(base64.b64decode(bare, validate=True))
    except (ValueError, TypeError) as error:
        raise ConfigError(f"a webhook's public key cannot be read: {error}") from None


def _ecdsa(table: Table, secrets: Sequence[str], posted: Posted, now: datetime) -> None:
    signature = _decoded(posted.headers.get(str(table["header"]).lower(), ""))
    ts = posted.headers.get(str(table["timestamp"]).lower(), "")
    fresh(ts, table, now)
    signed = ts.encode() + posted.body
    for key in map(_public_key, secrets):
        if isinstance(key, ec.EllipticCurvePublicKey) and _verifies(
            key, signature, signed, ec.ECDSA(hashes.SHA256())
        ):
            return
    refuse("wrong signature")


def _rsa(table: Table, secrets: Sequence[str], posted: Posted, now: datetime) -> None:
    del now  # Postal signs no time; a repeated event is the same observation
    modern = posted.headers.get(str(table["header"]).lower(), "")
    given = modern or posted.headers.get(str(table["header_sha1"]).lower(), "")
    digest = hashes.SHA256() if modern else hashes.SHA1()  # noqa: S303 (what Postal has)
    for key in map(_public_key, secrets):
        if isinstance(key, rsa.RSAPublicKey) and _verifies(
            key, _decoded(given), posted.body, padding.PKCS1v15(), digest
        ):
            return
    refuse("wrong signature")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        refuse("the signature is no base64")


def _verifies(key: Any, *args: Any) -> bool:
    try:
        key.verify(*args)
    except InvalidSignature:
        return False
    return True


def _mandrill(table: Table, secrets: Sequence[str], posted: Posted, now: datetime) -> None:
    del now
    form = document_of(posted)
    fields = form if isinstance(form, dict) else {}
    signed = str(table["url"]) + "".join(f"{key}{fields[key]}" for key in sorted(fields))
    given = posted.headers.get(str(table["header"]).lower(), "")
    digests = [hmac.digest(secret.encode(), signed.encode(), "sha1") for secret in secrets]
    if not any_same([given], [base64.b64encode(digest).decode() for digest in digests]):
        refuse("wrong signature; is url the URL as it stands at the provider?")


def _md5(table: Table, secrets: Sequence[str], posted: Posted, now: datetime) -> None:
    """Unisender Go: the MD5 of the body with the API key in the place of the MD5."""
    del now
    document = document_of(posted)
    given = document.get(table["field"]) if isinstance(document, dict) else None
    if not isinstance(given, str) or not re.fullmatch(r"[0-9a-f]{32}", given):
        refuse("no signature")
    for secret in secrets:
        signed = posted.body.replace(given.encode(), secret.encode(), 1)
        if same(hashlib.md5(signed).hexdigest(), given):  # noqa: S324 (what the provider has)
            return
    refuse("wrong signature")


VERIFY: Mapping[str, Verify] = {
    "hmac": _hmac,
    "standard": _standard,
    "ecdsa": _ecdsa,
    "rsa": _rsa,
    "mandrill": _mandrill,
    "md5": _md5,
}


_KINDS: Mapping[str | None, set[str]] = {  # what the table of each kind must say
    None: set(),
    "token": set(),
    "sns": set(),
    "hmac": {"over", "signature"},
    "standard": {"prefix"},
    "ecdsa": {"header", "timestamp"},
    "rsa": {"header", "header_sha1"},
    "mandrill": {"header"},
    "md5": {"field"},
}


def check_table(table: Table) -> str:
    """Return what is wrong with how a table says that a request proves itself; "" if nothing."""
    kind = table.get("kind")
    if kind not in _KINDS:
        known = ", ".join(sorted(one for one in _KINDS if one))
        return f"auth: there is no kind '{kind}'; there are {known}"
    given = set(table) | ({"signature"} if "header" in table else set())
    if missing := sorted(_KINDS[kind] - given):
        return f"auth: kind '{kind}' needs '{missing[0]}'"
    if table.get("digest", "sha256") not in hashlib.algorithms_guaranteed:
        return f"auth: there is no digest '{table['digest']}'"
    return ""


def mark_of(table: Table, posted: Posted) -> str:
    """Return the signature of *posted*, which stands for what it was made over."""
    return _parts(table, posted)["signature"]
