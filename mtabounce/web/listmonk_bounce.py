"""A bounce as listmonk's API takes it: its checks in their order, and its words."""

import re
from datetime import datetime
from typing import Any

from mtabounce.address import normalize, parsed_domain
from mtabounce.pipeline.record import is_uuid
from mtabounce.providers import read_json
from mtabounce.web.listmonk_settings import ListmonkSettings
from mtabounce.web.request import Refused

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_MAX_DEPTH = 100  # levels of what is kept in meta
_TEXTS = ("subscriber_uuid", "email", "campaign_uuid", "source", "type", "created_at")


def read_bounce(body: bytes, settings: ListmonkSettings) -> dict[str, Any]:
    """
    Return the bounce in *body*, checked in listmonk's order.

    Raises Refused(400) with listmonk's words.
    """
    bounce = _fields(body)
    if not bounce["email"] and not bounce["subscriber_uuid"]:
        raise Refused(400, "Invalid fields: email / subscriber_uuid")
    if bounce["subscriber_uuid"] and not is_uuid(bounce["subscriber_uuid"]):
        raise Refused(400, "Invalid fields: subscriber_uuid")
    if bounce["email"]:
        bounce["email"] = _email(bounce["email"])
        if settings.refuses(parsed_domain(bounce["email"])):
            raise Refused(400, "The e-mail domain is blocklisted.")
    if bounce["type"] not in ("hard", "soft", "complaint"):
        raise Refused(400, "Invalid fields: type")
    if bounce["campaign_uuid"] and not is_uuid(bounce["campaign_uuid"]):
        meta = bounce["meta"] if isinstance(bounce["meta"], dict) else {"meta": bounce["meta"]}
        bounce["meta"] = meta | {"campaign_uuid": bounce["campaign_uuid"]}
        bounce["campaign_uuid"] = ""
    return bounce


def _fields(body: bytes) -> dict[str, Any]:
    try:
        given = read_json(body)
    except (ValueError, RecursionError) as error:
        given = _mended(body)
        if given is None:
            raise Refused(400, f"Invalid data:{error}") from None
    if not isinstance(given, dict):
        raise Refused(400, "Invalid data:expected an object")
    given = {name.lower(): value for name, value in given.items()}  # Go reads names in any case
    bounce = {name: "" if given.get(name) is None else given[name] for name in _TEXTS}
    for name, value in bounce.items():
        if not isinstance(value, str):
            raise Refused(400, f"Invalid data:{name} is no text")
    if bounce["created_at"] and not _is_moment(bounce["created_at"]):
        raise Refused(400, "Invalid data:created_at is no time of RFC 3339")
    meta = {} if given.get("meta") is None else given["meta"]
    if _is_deep(meta):
        raise Refused(400, f"Invalid data:meta has more than {_MAX_DEPTH} levels")
    return bounce | {"meta": meta}


def _mended(body: bytes) -> dict[str, Any] | None:
    """
    Return what a body says whose last field, meta, lacks only the quote at its end.

    So does the example in listmonk's documentation, from which scripts are made; None: it is
    broken in another way.
    """
    head, brace, rest = body.rpartition(b"}")
    if not brace or rest.strip():
        return None
    try:
        given = read_json(head + b'"}')
    except (ValueError, RecursionError):
        return None
    last = list(given)[-1:] if isinstance(given, dict) else []
    return given if last == ["meta"] and isinstance(given["meta"], str) else None


def _is_moment(text: str) -> bool:
    """Tell whether *text* is a time of RFC 3339 that there is: no 31 February."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return _RFC3339.fullmatch(text) is not None


def _is_deep(value: Any) -> bool:
    """Tell whether *value* has more levels than those who read it later can be sure to take."""
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True


def _email(text: str) -> str:
    bare = text.strip()
    try:
        normalize(bare)
    except ValueError:
        raise Refused(400, "Invalid email.") from None
    return bare
