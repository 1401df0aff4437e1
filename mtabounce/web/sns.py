"""
Amazon SNS, and Scaleway's likeness of it: signatures, certificates, confirmations.

No address that a body names is ever asked: the host of the certificate and of the confirmation
follows from the region of a topic that the configuration allows.
"""

import asyncio
import base64
import binascii
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.client import HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509 import Certificate, load_pem_x509_certificate

from mtabounce.web.request import Posted, Refused
from mtabounce.web.signatures import document_of, refuse

_ARN = re.compile(
    r"arn:(aws|aws-cn|aws-us-gov):sns:([a-z]{2}(?:-[a-z]+){1,3}-\d):\d{12}:[\w.-]{1,256}", re.ASCII
)
_SCALEWAY = re.compile(r"arn:scw:sns:([a-z]{2}-[a-z]{3}):[\w-]{1,64}:[\w.-]{1,256}", re.ASCII)
_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_KINDS = {"Notification": _NOTIFICATION, "SubscriptionConfirmation": _CONFIRMATION,
          "UnsubscribeConfirmation": _CONFIRMATION}  # fmt: skip
_DIGESTS = {"1": hashes.SHA1(), "2": hashes.SHA256()}  # noqa: S303 (SNS's default is still 1)
_OLDEST = timedelta(hours=1)  # SNS tries no longer
_LATEST = timedelta(minutes=15)
_MAX_CERTIFICATE = 64 * 1024  # octets
_MAX_CERTIFICATES = 100
_MAX_FETCHES = 4  # at a time
_PATIENCE = 5.0  # seconds
log = logging.getLogger(__name__)

Fetch = Callable[[str], Awaitable[bytes]]
Certificates = dict[str, Certificate]  # by their URL


@dataclass(frozen=True, slots=True)
class _Places:
    """Where a topic's region keeps its certificates, and takes confirmations."""

    certificate: re.Pattern[str]
    confirm: str


def _places(topic: str) -> _Places | None:
    if found := _ARN.fullmatch(topic):
        host = f"sns.{found[2]}.amazonaws.com" + (".cn" if found[1] == "aws-cn" else "")
        path = r"/SimpleNotificationService-[A-Za-z0-9]+\.pem"
        return _Places(re.compile(f"https://{re.escape(host)}{path}"), f"https://{host}/")
    if found := _SCALEWAY.fullmatch(topic):
        path = rf"/{found[1]}/sns/sns_certificate_[\w.-]{{1,80}}\.crt"
        host = re.escape(f"messaging.s3.{found[1]}.scw.cloud")
        return _Places(
            re.compile(f"https://{host}{path}"), f"https://sns.mnq.{found[1]}.scaleway.com/"
        )
    return None


class Sns:
    """Verifies what comes from SNS, and confirms subscriptions of the topics *allowed*."""

    def __init__(
        self,
        allowed: Sequence[str],
        fetch: Fetch | None = None,
        certificates: Certificates | None = None,
    ) -> None:
        self._allowed = frozenset(allowed)
        self._fetch = fetch_https if fetch is None else fetch
        self._fetching = asyncio.Semaphore(_MAX_FETCHES)
        self._certificates = {} if certificates is None else certificates

    async def verify(self, posted: Posted, name: str, now: datetime) -> None:
        """
        Check *posted*; confirm the subscription where it asks for that.

        Raises Refused: 401 where it is not of SNS or of a foreign topic, 503 where the
        certificate cannot be had now.
        """
        message = _message(posted)
        topic = message["TopicArn"]
        places = _places(topic)
        if places is None:
            refuse("the topic is no ARN")
        if topic not in self._allowed:
            log.warning("%s", unknown_topic(name, topic))
            refuse("the topic is not allowed")
        _check_time(message["Timestamp"], now)
        await self._check_signature(message, places, now)
        if message["Type"] == "SubscriptionConfirmation":
            await self._confirm(message, places)
        if message["Type"] == "UnsubscribeConfirmation":
            log.warning("webhook %s: topic %s was unsubscribed from: no more events", name, topic)

    async def _check_signature(
        self, message: dict[str, str], places: _Places, now: datetime
    ) -> None:
        url = message.get("SigningCertURL", "")
        if not places.certificate.fullmatch(url):
            refuse("the certificate is not where SNS keeps its own")
        digest = _DIGESTS.get(message.get("SignatureVersion", ""))
        if digest is None:
            refuse("unknown version of the signature")
        certificate = await self._certificate(url)
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            # SNS comes again after a 503, and the clock may be what is wrong.
            raise Refused(503, "the certificate of SNS has expired: is the clock right?")
        key = certificate.public_key()
        if not isinstance(key, rsa.RSAPublicKey):
            refuse("the certificate is not of SNS")
        try:
            signature = base64.b64decode(message.get("Signature", ""), validate=True)
            key.verify(signature, to_sign(message), padding.PKCS1v15(), digest)
        except (InvalidSignature, binascii.Error, ValueError):
            refuse("wrong signature")

    async def _certificate(self, url: str) -> Certificate:
        if url not in self._certificates:
            if self._fetching.locked():  # whoever knows a topic can make us ask; not without end
                raise Refused(503, "the certificate of SNS cannot be had: too many are asked for")
            async with self._fetching:
                fetched = await self._fetched(url)
            if len(self._certificates) >= _MAX_CERTIFICATES:
                self._certificates.clear()
            self._certificates[url] = fetched
        return self._certificates[url]

    async def _fetched(self, url: str) -> Certificate:
        try:
            return load_pem_x509_certificate(await self._fetch(url))
        except (OSError, ValueError, TimeoutError, HTTPException) as error:
            why = str(error) or type(error).__name__
            raise Refused(503, f"the certificate of SNS cannot be had: {why}") from None

    async def _confirm(self, message: dict[str, str], places: _Places) -> None:
        query = {"Action": "ConfirmSubscription", "TopicArn": message["TopicArn"]}
        try:
            await self._fetch(f"{places.confirm}?{urlencode(query | {'Token': message['Token']})}")
        except (OSError, ValueError, TimeoutError, HTTPException) as error:
            raise Refused(503, f"the subscription could not be confirmed: {error}") from None
        log.info("subscribed to %s", message["TopicArn"])


def is_envelope(posted: Posted) -> bool:
    """Tell whether *posted* is an envelope of SNS; with raw delivery there is none."""
    try:
        document = document_of(posted)
    except Refused:
        return False
    return isinstance(document, dict) and document.get("Type") in _KINDS


def unknown_topic(name: str, topic: str) -> str:
    """Return the line that tells how to allow *topic*."""
    return f"webhook {name}: a topic that is not allowed; to allow it: {topic_line(name, topic)}"


def topic_line(name: str, topic: str) -> str:
    """Return what to write into the configuration to allow *topic*."""
    shown = topic if _places(topic) else "(no ARN)"
    return f'[webhooks.{name}] topic_arns = ["{shown}"]'


def to_sign(message: dict[str, str]) -> bytes:
    """Return the text that SNS signs: names and values, a line each."""
    names = _KINDS[message["Type"]]
    return "".join(f"{name}\n{message[name]}\n" for name in names if name in message).encode()


def _message(posted: Posted) -> dict[str, str]:
    document: Any = document_of(posted)
    if not isinstance(document, dict) or document.get("Type") not in _KINDS:
        refuse("this is no message of SNS")
    message = {name: value for name, value in document.items() if isinstance(value, str)}
    needed = set(_KINDS[message["Type"]]) - {"Subject"}
    if not needed <= message.keys():
        refuse("fields of the message are missing")
    # The signed text has no lengths: a line break could move words from field to field.
    if any("\n" in value for name, value in message.items() if name != "Message"):
        refuse("a field holds a line break")
    return message


def _check_time(text: str, now: datetime) -> None:
    try:
        at = datetime.fromisoformat(text)
        fresh = -_LATEST <= now - at <= _OLDEST
    except (ValueError, TypeError, OverflowError):
        refuse("the message has no time")
    if not fresh:
        refuse("the message is stale")


async def fetch_https(url: str) -> bytes:
    """Return what is at *url*: no redirects, no more than 64 KiB. Raises OSError, TimeoutError."""
    async with asyncio.timeout(_PATIENCE + 1):
        return await asyncio.to_thread(_get, url)


def _get(url: str) -> bytes:
    parts = urlsplit(url)
    connection = HTTPSConnection(parts.netloc, timeout=_PATIENCE)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path)
        answer = connection.getresponse()
        body = answer.read(_MAX_CERTIFICATE + 1)
    finally:
        connection.close()
    if answer.status != 200 or len(body) > _MAX_CERTIFICATE:
        raise OSError(f"{parts.netloc} answered {answer.status}")
    return body
