"""What is kept of an input that was read, where not all of it is to be."""

from mtabounce.mime import Message, Part
from mtabounce.model import API, WEBHOOK, Outcome
from mtabounce.pipeline.settings import Raw
from mtabounce.store.inputs import ClaimedInput, Finished, Trimmed

_REPORTS = {
    "message/delivery-status",
    "message/global-delivery-status",
    "message/feedback-report",
    "message/disposition-notification",
    "text/rfc822-headers",
    "message/global-headers",
}
_MAILS = {"message/rfc822", "message/global"}


def trimmed(one: ClaimedInput, finished: Finished, raw: Raw) -> Trimmed | None:
    """
    Return what is kept of *one*, which was read; None: all of it.

    What could not be read, or not all, is kept whole, so that it can be read again.
    """
    is_read = finished.outcome not in {None, Outcome.UNRECOGNIZED} and not finished.error
    if raw == "full" or not is_read:
        return None
    is_mail = not one.source.startswith((WEBHOOK, API))
    if raw == "headers" and is_mail:
        return Trimmed(id=one.id, kept="headers", content=headers_of(one.content))
    return Trimmed(id=one.id, kept="none", content=b"")


def headers_of(content: bytes) -> bytes:
    """Return the headers of a mail, those of the mail in it, and the report: no other text."""
    mail = Message(content)
    parts = [part for part in mail.parts if part.type in _REPORTS | _MAILS]
    return b"\n\n".join([mail.head, *map(_told, parts)]) + b"\n"


def _told(part: Part) -> bytes:
    if part.type in _MAILS:
        return part.head + b"\n\n" + Message(part.data).head
    return part.head + b"\n\n" + part.data.strip()
