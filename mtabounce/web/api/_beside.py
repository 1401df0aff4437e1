"""What is served beside the API, described: listmonk's bounce API, the webhooks, health."""

from typing import Any

_BOUNCE = {
    "id": 1,
    "type": "hard",
    "source": "api",
    "meta": {"additional": "info"},
    "created_at": "2026-11-23T10:00:00Z",
    "email": "user1@mail.com",
    "subscriber_uuid": "32ca1f3e-1a1d-42e1-af04-df0757f420f3",
    "subscriber_id": 60,
    "subscriber_status": "blocklisted",
    "campaign": {"id": 1, "name": "9f86b50d-5711-41c8-ab03-bc91c43d711b"},
}
_PAGE = {"results": [_BOUNCE], "search": "", "query": "", "total": 1, "per_page": 20, "page": 1}
_POSTED = {
    "email": "user1@mail.com",
    "campaign_uuid": "9f86b50d-5711-41c8-ab03-bc91c43d711b",
    "source": "api",
    "type": "hard",
    "meta": '{"additional": "info"}',
}
_PROBLEMS = {
    "400": "Something asked for is wrong",
    "403": "No token, a wrong one, or one that may not do this",
    "429": "Too many wrong tokens: wait",
    "503": "The database is away: try again",
}


def _json(example: Any, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"application/json": {"schema": schema or {"type": "object"}, "example": example}}


def _operation(
    summary: str,
    example: Any,
    parameters: list[dict[str, Any]] | None = None,
    body: dict[str, Any] | None = None,
    tag: str = "listmonk",
) -> dict[str, Any]:
    said = {
        code: {"description": why, "content": _json({"message": why})}
        for code, why in _PROBLEMS.items()
    }
    operation = {
        "summary": summary,
        "tags": [tag],
        "parameters": parameters or [],
        "responses": {"200": {"description": "Done", "content": _json(example)}} | said,
    }
    return operation | ({"requestBody": {"content": body, "required": True}} if body else {})


def _query(name: str, kind: str, description: str) -> dict[str, Any]:
    schema = {"type": kind}
    return {"name": name, "in": "query", "schema": schema, "description": description}


def _path(name: str, kind: str = "integer") -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": kind}}


def _plain(summary: str) -> dict[str, Any]:
    answer = {"description": "Done", "content": {"text/plain": {"schema": {"type": "string"}}}}
    return {"summary": summary, "tags": ["health"], "responses": {"200": answer}, "security": []}


SCHEMAS: dict[str, Any] = {
    "ListmonkBounce": {
        "type": "object",
        "required": ["type"],
        "properties": {
            "email": {"type": "string", "description": "This or subscriber_uuid is needed."},
            "subscriber_uuid": {"type": "string", "format": "uuid"},
            "campaign_uuid": {"type": "string"},
            "source": {"type": "string"},
            "type": {"type": "string", "enum": ["hard", "soft", "complaint"]},
            "meta": {"description": "Any JSON, or JSON as a string."},
            "created_at": {"type": "string", "format": "date-time"},
        },
    }
}
_PAGING = [
    _query("campaign_id", "integer", "Only those of this campaign."),
    _query("source", "string", "Only those of this source."),
    _query("order_by", "string", "email, source, type, campaign_name or created_at."),
    _query("order", "string", "asc or desc."),
    _query("page", "integer", "From 1."),
    _query("per_page", "string", "How many; all: everything."),
]
_DONE = {"data": True}
_EVENT = {  # as the webhook "generic" takes it; each ESP has a form of its own
    "type": "hard",
    "email": "ada@example.com",
    "reply": "550 5.1.1 no such user",
    "message_id": "m-1",
    "at": "2026-10-01T10:00:00Z",
}
PATHS: dict[str, Any] = {
    "/webhooks/bounce": {
        "post": _operation(
            "Record a bounce (scope ingest)",
            _DONE,
            body=_json(_POSTED, {"$ref": "#/components/schemas/ListmonkBounce"}),
        )
    },
    "/api/bounces": {
        "get": _operation("List bounces (scope read)", {"data": _PAGE}, _PAGING),
        "delete": _operation(
            "Delete bounces (scope admin)",
            _DONE,
            [
                _query("all", "boolean", "All of them; id is not looked at."),
                _query("id", "array", "Which; can be repeated.")
                | {"schema": {"type": "array", "items": {"type": "integer"}}},
            ],
        ),
    },
    "/api/bounces/blocklist": {
        "put": _operation("Blocklist everybody with a bounce (scope admin)", _DONE)
    },
    "/api/bounces/{id}": {
        "get": _operation("Give a bounce (scope read)", {"data": _BOUNCE}, [_path("id")]),
        "delete": _operation("Delete a bounce (scope admin)", _DONE, [_path("id")]),
    },
    "/api/subscribers/{id}/bounces": {
        "get": _operation(
            "List a subscriber's bounces (scope read)", {"data": [_BOUNCE]}, [_path("id")]
        ),
        "delete": _operation("Delete a subscriber's bounces (scope admin)", _DONE, [_path("id")]),
    },
    "/webhooks/service/{name}": {
        "post": _operation(
            "Take the events of an ESP, which signs them: mtabounce webhook list",
            _DONE,
            [_path("name", "string")],
            body=_json(_EVENT, {}),
            tag="webhooks",
        )
        | {"security": []},
        "get": _plain("Say what this webhook is")
        | {"parameters": [_path("name", "string")], "tags": ["webhooks"]},
    },
    "/healthz": {"get": _plain("Say that the process is alive")},
    "/readyz": {"get": _plain("Say whether it can work; 503 where it cannot")},
    "/metrics": {"get": _plain("Give all counters, for Prometheus")},
}
