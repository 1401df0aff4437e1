"""
listmonk: each suppression is a bounce at its /webhooks/bounce, or the end of the subscriber.

Policy has counted already: let listmonk act at a count of 1, for soft ones too. Where the action of
policy is `delete`, the subscriber is deleted there, as listmonk's own `delete` does. What listmonk
blocklists, only a person takes back there; so it is not told of holds, which end by themselves, and
not of what concerns one list or campaign only.

https://listmonk.app/docs/apis/subscribers/
"""

from collections.abc import Iterator
from urllib.parse import quote

from mtabounce.address import recipient_key, spellings
from mtabounce.policy import EVERYWHERE
from mtabounce.policy.threshold import Consequence
from mtabounce.sinks import Kind
from mtabounce.sinks._http import as_body, credentials, request
from mtabounce.sinks._settings import SinkSettings
from mtabounce.store.outbox import Message


async def _send(sink: SinkSettings, message: Message) -> None:
    if message.scope != EVERYWHERE or message.payload.get("cause") == "hold":
        return
    if message.payload.get("action") == Consequence.DELETE:
        await _delete(sink, message.recipient)
    else:
        await _bounce(sink, message)


async def _bounce(sink: SinkSettings, message: Message) -> None:
    told = {
        "source": "mtabounce",
        "type": message.payload.get("type") or "hard",  # an operator's word has none
        "meta": as_body(message.payload).decode(),
    }
    for email in spellings(message.recipient):  # one it does not know changes nothing there
        body = as_body({"email": email, **told})
        await request(sink, "POST", "/webhooks/bounce", body, credentials(sink))


async def _delete(sink: SinkSettings, recipient: str) -> None:
    names = ", ".join("'" + one.replace("'", "''") + "'" for one in spellings(recipient))
    query = quote(f"lower(subscribers.email) IN ({names})", safe="")
    who = credentials(sink)
    found = await request(sink, "GET", f"/api/subscribers?per_page=10&query={query}", headers=who)
    for number in _numbers(found, recipient):
        await request(sink, "DELETE", f"/api/subscribers/{number}", headers=who)


def _numbers(found: object, recipient: str) -> Iterator[int]:
    """Yield the subscribers with just this address, whatever else was found."""
    page = found.get("data") if isinstance(found, dict) else None
    results = page.get("results") if isinstance(page, dict) else None
    for subscriber in results or ():
        if recipient_key(str(subscriber["email"])) == recipient:
            yield int(subscriber["id"])


SINK = Kind(send=_send, needs=("url", "username", "password_file"), events=("suppressed",))
