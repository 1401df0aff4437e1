"""Mautic: "do not contact" by its REST API, set and taken back."""

from urllib.parse import quote

from mtabounce.sinks import Kind
from mtabounce.sinks._http import as_body, credentials, request
from mtabounce.sinks._settings import SinkSettings
from mtabounce.store.outbox import Message

_BOUNCED = 2  # Mautic\\LeadBundle\\Entity\\DoNotContact::BOUNCED


async def _send(sink: SinkSettings, message: Message) -> None:
    who = credentials(sink)
    query = f"/api/contacts?search={quote(f'email:{message.recipient}')}&minimal=1"
    found = await request(sink, "GET", query, headers=who)
    verb = "add" if message.event == "suppressed" else "remove"
    told = as_body({"reason": _BOUNCED, "comments": str(message.payload.get("reason", ""))})
    for number in _contacts(found):
        await request(sink, "POST", f"/api/contacts/{number}/dnc/email/{verb}", told, who)


def _contacts(found: object) -> list[int]:
    """Return the numbers of contacts; PHP writes an empty table as a list."""
    contacts = found.get("contacts") if isinstance(found, dict) else None
    return [int(number) for number in contacts] if isinstance(contacts, dict) else []


SINK = Kind(send=_send)
