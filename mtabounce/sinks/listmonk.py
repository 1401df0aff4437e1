"""
listmonk: each suppression is a bounce at its /webhooks/bounce.

Policy has counted already: let listmonk act at a count of 1, for soft ones too.
"""

from mtabounce.sinks import Kind
from mtabounce.sinks._http import as_body, credentials, request
from mtabounce.sinks._settings import SinkSettings
from mtabounce.store.outbox import Message


async def _send(sink: SinkSettings, message: Message) -> None:
    payload = message.payload
    told = {
        "email": message.recipient,
        "source": "mtabounce",
        "type": payload.get("type") or "hard",  # an operator's word has none
        "meta": as_body(payload).decode(),
    }
    await request(sink, "POST", "/webhooks/bounce", as_body(told), credentials(sink))


SINK = Kind(send=_send, events=("suppressed",))
