"""Outgoing webhooks, signed as https://www.standardwebhooks.com says (symmetric, v1)."""

import base64
import hashlib
import hmac
import time

from mtabounce.sinks import Kind
from mtabounce.sinks._http import as_body, request
from mtabounce.sinks._settings import SinkSettings, signing_key
from mtabounce.store.outbox import Message


async def _send(sink: SinkSettings, message: Message) -> None:
    data = {"recipient": message.recipient, **message.payload}
    told = {"type": message.event, "timestamp": message.created_at.isoformat(), "data": data}
    body, number, now = as_body(told), f"mtabounce-{message.id}", str(int(time.time()))
    signed = f"{number}.{now}.".encode() + body
    signature = base64.b64encode(
        hmac.digest(signing_key(sink.secret_file), signed, hashlib.sha256)
    ).decode()
    headers = {
        "webhook-id": number,
        "webhook-timestamp": now,
        "webhook-signature": f"v1,{signature}",
    }
    await request(sink, "POST", "", body, headers)


SINK = Kind(send=_send)
