"""What a provider posted, as plain values: JSON, JSON lines, a form, or JSON in an SNS envelope."""

import json
from collections.abc import Mapping
from email import message_from_bytes
from email.message import Message
from typing import Any
from urllib.parse import parse_qsl

from mtabounce.providers._values import number

MAX_FIELDS = 1_000  # of a form
_URLENCODED = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"
_SNS_NEWS = ("SubscriptionConfirmation", "UnsubscribeConfirmation")


def decode(kind: str, content: bytes, headers: Mapping[str, str]) -> Any:
    """
    Return the document in *content*; *headers* have lower-case names.

    *kind* is "auto" (JSON, JSON lines or a form, as it comes), "sns", or "form:NAME", where the
    field NAME of a form holds JSON. Raises ValueError where it cannot be read.
    """
    try:
        if kind == "sns":
            return _sns(content)
        if kind.startswith("form:"):
            return read_json(_form(content, headers)[kind.removeprefix("form:")])
        return _auto(content, headers)
    except KeyError as error:
        raise ValueError(f"the form has no field {error}") from None
    except RecursionError:
        raise ValueError("values are nested too deeply") from None


def _auto(content: bytes, headers: Mapping[str, str]) -> Any:
    kind = headers.get("content-type", "").lower()
    is_json = content.lstrip()[:1] in (b"{", b"[")  # whatever the headers say
    if not is_json and kind.startswith((_URLENCODED, _MULTIPART)):
        return _form(content, headers)
    try:
        return read_json(content)
    except ValueError:
        lines = [line for line in content.splitlines() if line.strip()]
        if len(lines) > 1 and lines[0].lstrip().startswith(b"{"):
            return [read_json(line) for line in lines]
        if _looks_like_a_form(content):
            return _form(content, headers)
        raise


def _looks_like_a_form(content: bytes) -> bool:
    return b"=" in content[:100] and not content.lstrip().startswith((b"{", b"[", b'"'))


def _sns(content: bytes) -> Any:
    """Return the message in the envelope, or, with raw delivery, what came without one."""
    document = _or_text(content)
    if not isinstance(document, dict) or not isinstance(document.get("Message"), str):
        return document
    if document.get("Type") in _SNS_NEWS:
        return {"eventType": document["Type"]}
    return _or_text(document["Message"])


def _or_text(content: bytes | str) -> Any:
    """SES announces itself in plain text, which is nobody's error."""
    text = content.decode(errors="replace") if isinstance(content, bytes) else content
    return (
        read_json(text) if text.lstrip()[:1] in ("{", "[") else {"eventType": f"text:{text[:60]}"}
    )


def _form(content: bytes, headers: Mapping[str, str]) -> dict[str, str]:
    if headers.get("content-type", "").lower().startswith(_MULTIPART):
        return _multipart(content, headers["content-type"])
    pairs = parse_qsl(content.decode(errors="replace"), True, max_num_fields=MAX_FIELDS)
    return dict(pairs)


def _multipart(content: bytes, kind: str) -> dict[str, str]:
    head = f"Content-Type: {kind}\r\n\r\n".encode("latin-1", "replace")
    form = message_from_bytes(head + content)
    parts = form.get_payload()
    fields: dict[str, str] = {}
    for part in parts[:MAX_FIELDS] if isinstance(parts, list) else ():
        if not isinstance(part, Message):
            continue
        name = part.get_param("name", header="content-disposition")
        value = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(value, bytes):
            fields[name] = value.decode(errors="replace")
    return fields


def read_json(text: bytes | str) -> Any:
    """Return the value in *text*. Raises ValueError or RecursionError where it is no JSON."""
    return json.loads(text, parse_constant=_refuse, parse_float=number)


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no JSON")
