"""Outgoing webhooks, signed as https://www.standardwebhooks.com says (symmetric, v1)."""

import base64
import binascii
import hashlib
import hmac
import time

from mtabounce.config import SecretFile
from mtabounce.sinks import Kind
from mtabounce.sinks._http import as_body, request
from mtabounce.sinks._settings import SinkSettings
from mtabounce.store.outbox import Message


async def _send(sink: SinkSettings, message: Message) -> None:
    data = {"recipient": message.recipient, **message.payload}
    told = {"type": message.event, "timestamp": message.created_at.isoformat(), "data": data}
    body, number, now = as_body(told), f"mtabounce-{message.id}", str(int(time.time()))
    signed = f"{number}.{now}.".encode() + body
    signature = base64.b64encode(
        hmac.digest(_key(sink.secret_file), signed, hashlib.sha256)
    ).decode()
    headers = {
        "webhook-id": number,
        "webhook-timestamp": now,
        "webhook-signature": f"v1,{signature}",
    }
    await request(sink, "POST", "", body, headers)


def _key(secret: SecretFile | None) -> bytes:
    """
    Return the bytes of the secret; one that is no base64 is taken as it is.

    Raises ValueError where it says whsec_ and no base64 follows: nobody else could verify it.
    """
    text = secret.get_secret_value() if secret else ""
    try:
        return base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        if text.startswith("whsec_"):
            raise ValueError("the secret of secret_file has no base64 after whsec_") from None
        return text.encode()


def _check(sink: SinkSettings) -> None:
    _key(sink.secret_file)


SINK = Kind(send=_send, needs=("url", "secret_file"), check=_check)
