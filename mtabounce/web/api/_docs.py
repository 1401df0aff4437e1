"""
``/docs``: the description of the API as a page, from this server alone.

FastAPI's own page loads Swagger UI from a CDN and holds a script of its own; this one takes it
from a package, and its Content-Security-Policy lets nothing else in.
"""

from importlib.resources import files

from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, Response

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>mtabounce: HTTP API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  validatorUrl: null,
  tryItOutEnabled: true,
});
"""
_KINDS = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def add_docs(app: FastAPI) -> None:
    """Serve the page and its files."""
    app.add_route("/docs", _page, include_in_schema=False)
    app.add_route("/docs/start.js", _start, include_in_schema=False)
    for name in _KINDS:
        app.add_route(f"/docs/{name}", _file, include_in_schema=False)


async def _page(request: Request) -> Response:
    del request
    return HTMLResponse(_PAGE, headers=_HEADERS)


async def _start(request: Request) -> Response:
    del request
    return Response(_START, media_type="text/javascript", headers=_HEADERS)


def _file(request: Request) -> Response:
    name = request.url.path.rpartition("/")[2]
    content = (files("fastapi_offline") / "static" / name).read_bytes()
    headers = _HEADERS | {"Cache-Control": "max-age=86400"}
    return Response(content, media_type=_KINDS[name], headers=headers)
