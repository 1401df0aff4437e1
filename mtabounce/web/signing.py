"""
The other side of signatures: makes a request that proves itself as a provider's would.

For tests of one's own webhooks. Where providers sign with a private key, one of ours stands in,
so that the server must refuse it, unless it was given our public key.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from secrets import token_hex
from string import Template
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from mtabounce.providers import Provider
from mtabounce.web.signatures import key_of
from mtabounce.web.sns import to_sign

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_FORM = "application/x-www-form-urlencoded"
PRIVATE = ("ecdsa", "rsa", "sns")  # kinds that only the provider can sign


@dataclass(frozen=True, slots=True, kw_only=True)
class Proofs:
    """What a test request proves itself with; what is empty is left out."""

    secret: str = ""
    username: str = ""
    password: str = ""
    token: str = ""
    key: PrivateKey | None = None  # in place of the provider's
    topic: str = ""  # of SNS
    url: str = ""  # as it stands at the provider


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A request to be posted."""

    body: bytes
    headers: Mapping[str, str]
    query: Mapping[str, str]


def sample(provider: Provider, recipient: str, number: str, now: datetime) -> bytes:
    """Return the body of a bounce of *recipient*, as *provider* posts it, not signed yet."""
    is_form = not provider.table.sample.startswith(("{", "["))
    values = {
        "recipient": quote(recipient) if is_form else recipient,
        "id": number,
        "unix": str(int(now.timestamp())),
        "iso": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return Template(provider.table.sample).substitute(values).encode()


def signed(provider: Provider, body: bytes, proofs: Proofs, now: datetime) -> Made:
    """Return *body* as a request that proves itself by all of *proofs*."""
    table = provider.table
    kind = "application/json" if body.startswith((b"{", b"[")) else _FORM
    if table.body.startswith("form:"):
        body, kind = urlencode({table.body.removeprefix("form:"): body.decode()}).encode(), _FORM
    made = Made(body=body, headers={"content-type": kind}, query={})
    if proofs.secret or proofs.key or proofs.topic:
        made = _SIGN.get(str(table.auth.get("kind")), _as_token)(table.auth, made, proofs, now)
    if proofs.password:
        pair = f"{proofs.username}:{proofs.password}".encode()
        basic = {"authorization": f"Basic {base64.b64encode(pair).decode()}"}
        made = replace(made, headers={**made.headers, **basic})
    if proofs.token:
        name = str(table.auth.get("query", "token"))
        made = replace(made, query={**made.query, name: proofs.token})
    return made


def _with(made: Made, headers: Mapping[str, str]) -> Made:
    lowered = {name.lower(): value for name, value in headers.items()}
    return replace(made, headers={**made.headers, **lowered})


def _as_token(auth: Mapping[str, Any], made: Made, proofs: Proofs, now: datetime) -> Made:
    del now
    return _with(made, {str(auth.get("header", "x-webhook-token")): proofs.secret})


def _hmac(auth: Mapping[str, Any], made: Made, proofs: Proofs, now: datetime) -> Made:
    values = {"ts": str(int(now.timestamp())), "id": token_hex(8), "event": "test",
              "token": token_hex(25)}  # fmt: skip
    pieces = (
        made.body if part == "{body}" else values.get(part[1:-1], part).encode()
        for part in re.split(r"(\{\w+\})", str(auth["over"]))
    )
    digest = hmac.digest(
        proofs.secret.encode(), b"".join(pieces), str(auth.get("digest", "sha256"))
    )
    is_hex = auth.get("encoding", "hex") == "hex"
    values["signature"] = digest.hex() if is_hex else base64.b64encode(digest).decode()
    if "header" not in auth:
        return _in_body(auth, made, values)
    shown = str(auth.get("form", "{signature}")).format(**values)
    named = {str(auth[key]): values[value] for key, value in _PLACES if key in auth}
    return _with(made, named | {str(auth["header"]): shown})


_PLACES = (("timestamp", "ts"), ("id", "id"), ("event", "event"))


def _in_body(auth: Mapping[str, Any], made: Made, values: Mapping[str, str]) -> Made:
    """Put a signature that does not cover the body where the body has it."""
    document = json.loads(made.body)
    for key, value in (("timestamp", "ts"), ("token", "token"), ("signature", "signature")):
        *way, last = str(auth[key]).partition(" ||")[0].split(".")
        inner = document
        for part in way:
            inner = inner.setdefault(part, {})
        inner[last] = values[value]
    return replace(made, body=json.dumps(document).encode())


def _standard(auth: Mapping[str, Any], made: Made, proofs: Proofs, now: datetime) -> Made:
    number, ts = f"msg_{token_hex(12)}", str(int(now.timestamp()))
    content = f"{number}.{ts}.".encode() + made.body
    digest = hmac.digest(key_of(proofs.secret, raw=auth.get("secret") == "raw"), content, "sha256")
    names = {"id": number, "timestamp": ts, "signature": f"v1,{base64.b64encode(digest).decode()}"}
    return _with(made, {f"{auth['prefix']}{name}": value for name, value in names.items()})


def _ecdsa(auth: Mapping[str, Any], made: Made, proofs: Proofs, now: datetime) -> Made:
    key = proofs.key
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        key = ec.generate_private_key(ec.SECP256R1())
    ts = str(int(now.timestamp()))
    signature = key.sign(ts.encode() + made.body, ec.ECDSA(hashes.SHA256()))
    names = {auth["header"]: base64.b64encode(signature).decode(), auth["timestamp"]: ts}
    return _with(made, names)


def _rsa(auth: Mapping[str, Any], made: Made, proofs: Proofs, now: datetime) -> Made:
    del now
    signature = _rsa_key(proofs).sign(made.body, padding.PKCS1v15(), hashes.SHA256())
    return _with(made, {auth["header"]: base64.b64encode(signature).decode()})


def _rsa_key(proofs: Proofs) -> rsa.RSAPrivateKey:
    if isinstance(proofs.key, rsa.RSAPrivateKey):
        return proofs.key
    return rsa.generate_private_key(65537, 2048)


def _mandrill(auth: Mapping[str, Any], made: Made, proofs: Proofs, now: datetime) -> Made:
    del now
    ((field, value),) = parse_qsl(made.body.decode())
    digest = hmac.digest(proofs.secret.encode(), f"{proofs.url}{field}{value}".encode(), "sha1")
    return _with(made, {auth["header"]: base64.b64encode(digest).decode()})


def _md5(auth: Mapping[str, Any], made: Made, proofs: Proofs, now: datetime) -> Made:
    """Unisender Go: the MD5 of the body with the API key in the place of the MD5."""
    del now
    document = json.loads(made.body) | {str(auth["field"]): proofs.secret}
    keyed = json.dumps(document).encode()
    digest = hashlib.md5(keyed).hexdigest()  # noqa: S324 (what the provider has)
    return replace(made, body=keyed.replace(proofs.secret.encode(), digest.encode(), 1))


def _sns(auth: Mapping[str, Any], made: Made, proofs: Proofs, now: datetime) -> Made:
    """Return it in an envelope, with a certificate where SNS would have one."""
    del auth
    region = proofs.topic.split(":")[3] if proofs.topic.count(":") > 3 else ""
    host = f"https://sns.{region}.amazonaws.com/SimpleNotificationService-{'0' * 32}.pem"
    if proofs.topic.startswith("arn:scw:"):
        host = f"https://messaging.s3.{region}.scw.cloud/{region}/sns/sns_certificate_0.crt"
    message = {
        "Type": "Notification",
        "MessageId": token_hex(16),
        "TopicArn": proofs.topic,
        "Message": made.body.decode(),
        "Timestamp": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "SignatureVersion": "2",
        "SigningCertURL": host,
    }
    signature = _rsa_key(proofs).sign(to_sign(message), padding.PKCS1v15(), hashes.SHA256())
    message["Signature"] = base64.b64encode(signature).decode()
    body = json.dumps(message).encode()
    return replace(made, body=body, headers={**made.headers, "content-type": "text/plain"})


_SIGN: Mapping[str, Callable[[Mapping[str, Any], Made, Proofs, datetime], Made]] = {
    "hmac": _hmac,
    "standard": _standard,
    "ecdsa": _ecdsa,
    "rsa": _rsa,
    "mandrill": _mandrill,
    "md5": _md5,
    "sns": _sns,
}
