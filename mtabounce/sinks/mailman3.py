"""
Mailman 3: delivery to a member is switched off and on, by the REST API of its core.

What concerns one list is told of that list only; where another suppression of the address goes
on, its lists stay as they are. Who switched delivery off himself, or had it done by a moderator,
is left alone.

https://docs.mailman3.org/projects/mailman/en/latest/src/mailman/rest/docs/preferences.html
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from mtabounce.address import recipient_key
from mtabounce.policy import EVERYWHERE
from mtabounce.policy.scopes import scope_key
from mtabounce.sinks import Kind
from mtabounce.sinks._http import as_body, credentials, request
from mtabounce.sinks._settings import SinkSettings
from mtabounce.store.outbox import Message

_OFF, _ON = "by_bounces", "enabled"


async def _send(sink: SinkSettings, message: Message) -> None:
    who = credentials(sink)
    query = f"/members/find?subscriber={quote(message.recipient)}"
    found = await request(sink, "GET", query, headers=who)
    before, after = (_ON, _OFF) if message.event == "suppressed" else (_OFF, _ON)
    for member in _members(found, message):
        path = f"/members/{quote(str(member['member_id']), safe='')}/preferences"
        known = await request(sink, "GET", path, headers=who) or {}
        if known.get("delivery_status", _ON) == before:
            await request(sink, "PATCH", path, as_body({"delivery_status": after}), who)


def _members(found: object, message: Message) -> Iterator[Mapping[str, Any]]:
    """Yield the subscriptions of the address that a message is about."""
    entries = found.get("entries", []) if isinstance(found, dict) else []
    still = set(message.payload.get("still", ()))
    for member in entries:
        of_list = scope_key(f"list:{member.get('list_id')}")
        is_them = recipient_key(member["email"]) == message.recipient and member["role"] == "member"
        if is_them and message.scope in {EVERYWHERE, of_list} and not still & {EVERYWHERE, of_list}:
            yield member


SINK = Kind(send=_send, needs=("url", "username", "password_file"), events=("suppressed", "lifted"))
