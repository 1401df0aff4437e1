"""Mailman 3: delivery to a member is switched off and on, by the REST API of its core."""

from urllib.parse import quote

from mtabounce.sinks import Kind
from mtabounce.sinks._http import as_body, credentials, request
from mtabounce.sinks._settings import SinkSettings
from mtabounce.store.outbox import Message


async def _send(sink: SinkSettings, message: Message) -> None:
    who = credentials(sink)
    query = f"/members/find?subscriber={quote(message.recipient)}"
    found = await request(sink, "GET", query, headers=who)
    status = "by_bounces" if message.event == "suppressed" else "enabled"
    entries = found.get("entries", []) if isinstance(found, dict) else []
    for member in entries:
        path = f"/members/{quote(str(member['member_id']), safe='')}/preferences"
        await request(sink, "PATCH", path, as_body({"delivery_status": status}), who)


SINK = Kind(send=_send)
