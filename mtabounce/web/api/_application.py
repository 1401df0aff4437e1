"""Puts the API together: who calls, errors in one line, and its own description."""

from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException as AnyHttpException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

import mtabounce
from mtabounce.errors import TryAgainLater
from mtabounce.registry import discover
from mtabounce.web.api import _beside
from mtabounce.web.api._docs import add_docs
from mtabounce.web.api._parts import Parts, Problem
from mtabounce.web.callers import NotKnown
from mtabounce.web.request import CHALLENGE, RETRY_AFTER, Refused, peer_of

PREFIX = "/api/v1"
JSON = "application/json"
MAX_SIZE = 2**20  # octets of a body
DESCRIPTION = """
What is known of bounces and recipients, and whom not to mail.

Make a token with `mtabounce token create NAME --scope read`, and send it with each request:
`curl -u NAME:TOKEN`, or `Authorization: Bearer TOKEN`. The scope `read` changes nothing,
`ingest` posts bounces, `sign` gets return paths, `admin` does everything.

Lists come in pages: `next` of one is the `cursor` of the following one. An error is
`{"message": "…"}`; after 429 and 503 the header `Retry-After` says when to come back.
"""
_ERRORS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "No token, or a wrong one"},
    403: {"model": Problem, "description": "The token lacks the scope"},
    422: {"model": Problem, "description": "Something asked for is not possible"},
    429: {"model": Problem, "description": "Too many wrong tokens: wait"},
    503: {"model": Problem, "description": "The database is away: try again"},
}
_SCHEMES = {
    "basic": {"type": "http", "scheme": "basic", "description": "User name and token."},
    "bearer": {"type": "http", "scheme": "bearer", "description": "The token alone."},
}


def make(parts: Parts) -> FastAPI:
    """Return the application."""
    app = _Described(
        title="mtabounce",
        version=mtabounce.__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        max_body_size=MAX_SIZE,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.parts = parts
    app.state.examples = {}
    for router in discover("mtabounce.web.api", APIRouter).values():
        app.include_router(router, prefix=PREFIX, responses=_ERRORS)
        app.state.examples |= _examples(router)
    app.add_middleware(_Authenticated, parts=parts)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(AnyHttpException, _refused)
    app.add_exception_handler(TryAgainLater, _away)
    add_docs(app)
    return app


def _examples(router: APIRouter) -> dict[tuple[str, str], Any]:
    """Return the answer that each path shows, by method and path."""
    return {
        (method, PREFIX + route.path_format): route.responses[200]["content"][JSON]["example"]
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }


class _Described(FastAPI):
    """The API, which also describes listmonk's and the webhooks, served beside it."""

    def openapi(self) -> dict[str, Any]:
        """Return the description of the API."""
        if not self.openapi_schema:
            schema = super().openapi()
            schema["components"]["securitySchemes"] = _SCHEMES
            schema["security"] = [{name: []} for name in _SCHEMES]
            for path, methods in schema["paths"].items():
                for method, operation in methods.items():
                    # A docstring is one line, and says it best. FastAPI drops what is null.
                    operation["summary"] = operation.pop("description", operation["summary"])
                    content = operation["responses"]["200"]["content"][JSON]
                    content["example"] = self.state.examples[method.upper(), path]
            schema["paths"] = _beside.PATHS | schema["paths"]
            schema["components"]["schemas"] |= _beside.SCHEMAS
        return self.openapi_schema or {}


class _Authenticated:
    """Asks who calls before anything else is looked at: an unknown caller learns nothing."""

    def __init__(self, app: ASGIApp, parts: Parts) -> None:
        self._app = app
        self._callers = parts.callers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(f"{PREFIX}/"):
            request = Request(scope)
            try:
                scope["caller"] = await self._callers.identify(
                    request.headers.get("authorization", ""), peer_of(request)
                )
            except (NotKnown, Refused, TryAgainLater) as error:
                await _unknown(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _unknown(error: Exception) -> Response:
    if isinstance(error, Refused):
        return _problem(error.status, str(error), error.headers())
    if isinstance(error, TryAgainLater):
        return _problem(503, "try again later", RETRY_AFTER)
    return _problem(401, "a token is needed: mtabounce token create", CHALLENGE)


def _problem(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"message": message}, status, headers)


async def _invalid(request: Request, error: Exception) -> Response:
    """Say where the first mistake is, and what."""
    del request
    found = error.errors()[0] if isinstance(error, RequestValidationError) else {}
    place = [str(part) for part in found.get("loc", ()) if part not in ("query", "path", "body")]
    what = str(found.get("msg", error)).removeprefix("Value error, ")
    return _problem(422, ": ".join([".".join(place) or "body", what])[:500])


async def _refused(request: Request, error: Exception) -> Response:
    status, said, headers = 500, str(error), None
    if isinstance(error, AnyHttpException):
        status, said, headers = error.status_code, str(error.detail), error.headers
    if status == 404 and said == "Not Found":
        said = f"there is no {request.url.path[:200]}"
    return _problem(status, said, dict(headers or {}))


async def _away(request: Request, error: Exception) -> Response:
    del request, error
    return _problem(503, "try again later", RETRY_AFTER)
