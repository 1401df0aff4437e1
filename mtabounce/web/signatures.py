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
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from datetime import datetime
from typing import Any, NamedTuple, NoReturn
from urllib.parse import parse_qsl, unquote

import jmespath
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mtabounce.config.values import parse_duration
from mtabounce.errors import ConfigError
from mtabounce.web.request import Posted, Refused

TOLERANCE = 300.0  # seconds between the clocks, and on the way
_NUMBER = re.compile(r"\d{1,16}(?:\.\d{1,9})?", re.ASCII)
_MILLISECONDS = 1e11
_LEAST_KEY = 16  # octets of a key of Standard Webhooks, which prescribes 24

Table = Mapping[str, Any]
Check = Callable[[Posted, datetime], None]  # raises Refused(401)


class Kind(NamedTuple):
    """A way to prove it: what makes the check, and what a table must say of it."""

    make: Callable[[Table, Sequence[str]], Check]
    needs: Set[str] = frozenset()


def refuse(why: str) -> NoReturn:
    """Raise Refused(401): every failure to authenticate looks the same to a client."""
    raise Refused(401, why)


def same(one: bytes | str, other: bytes | str) -> bool:
    """Compare secrets in constant time."""
    return hmac.compare_digest(_octets(one), _octets(other))


def any_same(given: Iterable[str], wanted: Sequence[str]) -> bool:
    """Compare each of *given* with each of *wanted*, all of them, whichever fits."""
    return sum([same(one, other) for one in given for other in wanted]) > 0


def _octets(value: bytes | str) -> bytes:
    return value if isinstance(value, bytes) else value.encode(errors="backslashreplace")


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


def _hmac(table: Table, secrets: Sequence[str]) -> Check:
    keys = [secret.encode() for secret in secrets]
    digest, encode = str(table.get("digest", "sha256")), _encoder(str(table.get("encoding", "hex")))
    pieces, has_time = _pieces(str(table["over"])), "{ts}" in str(table["over"])
    parts_of = _reader(table)

    def check(posted: Posted, now: datetime) -> None:
        parts = parts_of(posted)
        if has_time:
            fresh(parts["ts"], table, now)
        signed = b"".join([_filled(part, parts, posted.body) for part in pieces])
        given = _candidates(parts["signature"])
        if not given:
            refuse("no signature")
        if not any_same(given, [encode(hmac.digest(key, signed, digest)) for key in keys]):
            refuse("wrong signature")

    return check


def _pieces(over: str) -> tuple[str, ...]:
    return tuple(part for part in re.split(r"(\{\w+\})", over) if part)


def _filled(part: str, values: Mapping[str, str], body: bytes) -> bytes:
    if part == "{body}":
        return body
    return _octets(values.get(part[1:-1], "") if part.startswith("{") else part)


def _encoder(kind: str) -> Callable[[bytes], str]:
    return bytes.hex if kind == "hex" else lambda value: base64.b64encode(value).decode()


def _candidates(signature: str) -> list[str]:
    """Return each signature of a header that may hold several: ``v1=a,v1=b``, ``sha256=a``."""
    if signature.isalnum():
        return [signature]
    found = (part.strip() for part in re.split(r"[ ,;]", signature))
    return [re.sub(r"^(?:v1|sha256|s)=", "", part) for part in found if part][:10]


def _reader(table: Table) -> Callable[[Posted], dict[str, str]]:
    """Return what finds the parts of a signature in a request: signature, ts, id, event, token."""
    if "header" not in table:
        return lambda posted: _parts_of_body(table, posted)
    header = str(table["header"]).lower()
    named = [("ts", "timestamp"), ("id", "id"), ("event", "event")]
    others = [(name, str(table[key]).lower()) for name, key in named if key in table]
    has_fields = bool(table.get("fields"))

    def parts_of(posted: Posted) -> dict[str, str]:
        get = posted.headers.get
        value = get(header, "")
        parts = _fields(value) if has_fields else {"signature": value}
        for name, key in others:
            parts.setdefault(name, get(key, ""))
        return parts

    return parts_of


def _fields(value: str) -> dict[str, str]:
    """Return the parts of a header that has them all: ``t=1,v1=a``."""
    pairs = [part.strip().partition("=") for part in re.split(r"[,;]", value)]
    return {
        "ts": next((text for key, _, text in pairs if key in ("t", "ts")), ""),
        "signature": ",".join(text for key, _, text in pairs if key in ("v1", "s")),
    }


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


def _standard(table: Table, secrets: Sequence[str]) -> Check:
    """Check what Standard Webhooks prescribes, and Svix, which it was made from."""
    keys = [key_of(secret, raw=table.get("secret") == "raw") for secret in secrets]
    prefixes = (table["prefix"], "webhook-", "svix-")

    def check(posted: Posted, now: datetime) -> None:
        get = posted.headers.get
        prefix = next((one for one in prefixes if get(f"{one}id")), "-")
        number, ts = get(f"{prefix}id", ""), get(f"{prefix}timestamp", "")
        given = [part.removeprefix("v1,") for part in get(f"{prefix}signature", "").split()[:10]]
        fresh(ts, table, now)
        signed = f"{number}.{ts}.".encode() + posted.body
        made = [base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys]
        if not any_same(given, made):
            refuse("wrong signature")

    return check


def key_of(secret: str, *, raw: bool) -> bytes:
    """
    Return the key that a secret of Standard Webhooks stands for.

    Raises ConfigError where it is too short to be one.
    """
    if raw:
        return secret.encode()
    packed = secret.removeprefix("whsec_")
    try:
        key = base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError):
        key = b"" if packed != secret else secret.encode()
    if len(key) < _LEAST_KEY:
        raise ConfigError("the secret is not whole: copy it anew, with all that is after whsec_")
    return key


def _public_keys(secrets: Sequence[str], kind: type[Any]) -> list[Any]:
    """Read keys as people paste them: PEM, or bare base64 with quotes or blanks."""
    keys = []
    for text in secrets:
        bare = re.sub(r"-----[A-Z ]+-----|[\s\"']|\\n|^p=", "", text)
        try:
            keys.append(load_der_public_key(base64.b64decode(bare, validate=True)))
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ConfigError(f"the public key cannot be read: {error}") from None
        if not isinstance(keys[-1], kind):
            raise ConfigError(f"the public key is of the wrong kind: {type(keys[-1]).__name__}")
    return keys


def _ecdsa(table: Table, secrets: Sequence[str]) -> Check:
    keys = _public_keys(secrets, ec.EllipticCurvePublicKey)
    header, timestamp = str(table["header"]).lower(), str(table["timestamp"]).lower()
    algorithm = ec.ECDSA(hashes.SHA256())

    def check(posted: Posted, now: datetime) -> None:
        signature = _decoded(posted.headers.get(header, ""))
        ts = posted.headers.get(timestamp, "")
        fresh(ts, table, now)
        signed = ts.encode() + posted.body
        if not any(_verifies(key, signature, signed, algorithm) for key in keys):
            refuse("wrong signature")

    return check


def _rsa(table: Table, secrets: Sequence[str]) -> Check:
    keys = _public_keys(secrets, rsa.RSAPublicKey)
    header, older = str(table["header"]).lower(), str(table["header_sha1"]).lower()

    def check(posted: Posted, now: datetime) -> None:
        del now  # Postal signs no time; a repeated event is the same observation
        modern = posted.headers.get(header, "")
        signature = _decoded(modern or posted.headers.get(older, ""))
        digest = hashes.SHA256() if modern else hashes.SHA1()  # noqa: S303 (what Postal has)
        proof = (signature, posted.body, padding.PKCS1v15(), digest)
        if not any(_verifies(key, *proof) for key in keys):
            refuse("wrong signature")

    return check


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


def _mandrill(table: Table, secrets: Sequence[str]) -> Check:
    keys = [secret.encode() for secret in secrets]
    header, url = str(table["header"]).lower(), str(table["url"])

    def check(posted: Posted, now: datetime) -> None:
        del now
        fields = _form_of(posted)
        signed = _octets(url + "".join(f"{key}{fields[key]}" for key in sorted(fields)))
        made = [base64.b64encode(hmac.digest(key, signed, "sha1")).decode() for key in keys]
        if not any_same([posted.headers.get(header, "")], made):
            refuse("wrong signature; is url the URL as it stands at the provider?")

    return check


def _form_of(posted: Posted) -> dict[str, str]:
    """Return the form in the body, as it is read later, too. Raises Refused where it is another."""
    if posted.headers.get("content-type", "").lower().startswith("multipart/"):
        refuse("no form as the provider posts it")
    try:
        pairs = parse_qsl(posted.body.decode(errors="replace"), True, max_num_fields=1000)
    except ValueError:
        refuse("no form as the provider posts it")
    if len(fields := dict(pairs)) < len(pairs):  # which of them counts?
        refuse("a field of the form is repeated")
    return fields


def _md5(table: Table, secrets: Sequence[str]) -> Check:
    """Unisender Go: the MD5 of the body with the API key in the place of the MD5."""

    def check(posted: Posted, now: datetime) -> None:
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

    return check


def _token(table: Table, secrets: Sequence[str]) -> Check:
    return lambda posted, now: token(table, secrets, posted)


KINDS: Mapping[str | None, Kind] = {  # None: by what is asked for beside it, or by a token
    None: Kind(_token),
    "token": Kind(_token),
    "sns": Kind(_token),  # with keys of its own: sns.py
    "hmac": Kind(_hmac, {"over", "signature"}),
    "standard": Kind(_standard, {"prefix"}),
    "ecdsa": Kind(_ecdsa, {"header", "timestamp"}),
    "rsa": Kind(_rsa, {"header", "header_sha1"}),
    "mandrill": Kind(_mandrill, {"header"}),
    "md5": Kind(_md5, {"field"}),
}


def kind_of(table: Table) -> Kind:
    """Return the kind that *table* names. Raises ConfigError where there is none."""
    kind = KINDS.get(table.get("kind"))
    if kind is None:
        known = ", ".join(sorted(name for name in KINDS if name))
        raise ConfigError(f"auth: there is no kind '{table['kind']}'; there are {known}")
    return kind


def checker(table: Table, secrets: Sequence[str]) -> Check:
    """
    Return the check that a request was signed with one of *secrets*, as *table* says.

    Raises ConfigError where a public key among them cannot be read, or there is no such kind.
    """
    return kind_of(table).make(table, secrets)


def mark_of(table: Table, posted: Posted) -> bytes:
    """
    Return what the signature of *posted* was made over, without its body.

    Not the signature itself: one can be written in several ways.
    """
    parts = _reader(table)(posted)
    return b"\0".join([_filled(part, parts, b"") for part in _pieces(str(table["over"]))])
