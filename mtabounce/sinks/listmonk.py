"""
listmonk: each suppression is a bounce at its /webhooks/bounce.

Policy has counted already: let listmonk act at a count of 1, for soft ones too. What listmonk
blocklists, only a person takes back there; so it is not told of holds, which end by themselves, and
not of what concerns one list or campaign only.
"""

from mtabounce.policy import EVERYWHERE
from mtabounce.sinks import Kind
from mtabounce.sinks._http import as_body, credentials, request
from mtabounce.sinks._settings import SinkSettings
from mtabounce.store.outbox import Message


async def _send(sink: SinkSettings, message: Message) -> None:
    payload = message.payload
    if message.scope != EVERYWHERE or payload.get("cause") == "hold":
        return
    told = {
        "email": message.recipient,
        "source": "mtabounce",
        "type": payload.get("type") or "hard",  # an operator's word has none
        "meta": as_body(payload).decode(),
    }
    await request(sink, "POST", "/webhooks/bounce", as_body(told), credentials(sink))


SINK = Kind(send=_send, needs=("url", "username", "password_file"), events=("suppressed",))
