"""
Mautic: "do not contact" by its REST API, set and taken back.

It knows one such mark for all mail, so what concerns one list or campaign only is not told. Who
asked not to be contacted, or whom a person marked, is left as it is.

https://devdocs.mautic.org/en/latest/rest_api/contacts.html
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from mtabounce.address import recipient_key
from mtabounce.policy import EVERYWHERE
from mtabounce.sinks import Kind
from mtabounce.sinks._http import as_body, credentials, request
from mtabounce.sinks._settings import SinkSettings
from mtabounce.store.outbox import Message

_BOUNCED = 2  # reasons there: 1 unsubscribed, 2 bounced, 3 by hand


async def _send(sink: SinkSettings, message: Message) -> None:
    if message.scope != EVERYWHERE:
        return
    who = credentials(sink)
    query = f"/api/contacts?search={quote(f'email:{message.recipient}')}"
    found = await request(sink, "GET", query, headers=who)
    suppress = message.event == "suppressed"
    verb = "add" if suppress else "remove"
    told = as_body({"reason": _BOUNCED, "comments": str(message.payload.get("reason", ""))})
    for contact in _contacts(found, message.recipient):
        marks = _marks(contact)
        if (suppress and not marks) or (not suppress and marks == {_BOUNCED}):
            path = f"/api/contacts/{int(contact['id'])}/dnc/email/{verb}"
            await request(sink, "POST", path, told, who)


def _contacts(found: object, recipient: str) -> Iterator[Mapping[str, Any]]:
    """Yield the contacts with just this address: Mautic finds all that hold it somewhere."""
    contacts = found.get("contacts") if isinstance(found, dict) else None
    for contact in contacts.values() if isinstance(contacts, dict) else ():  # PHP: [] for none
        if recipient_key(str(contact["fields"]["all"]["email"])) == recipient:
            yield contact


def _marks(contact: Mapping[str, Any]) -> set[int]:
    """Return why a contact gets no mail there; nothing: it gets mail."""
    marks = contact.get("doNotContact") or []
    return {int(mark["reason"]) for mark in marks if mark.get("channel") == "email"}


SINK = Kind(send=_send, needs=("url", "username", "password_file"), events=("suppressed", "lifted"))
