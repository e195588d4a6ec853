"""Pages that show the API document: Swagger UI and Redoc, both without the internet.

Whatever the pages load comes from this package (`static/`, with licences); no address in them
leaves the service.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
from importlib.resources import files

from fastapi import FastAPI
from fastapi.openapi.docs import (
    get_redoc_html,
    get_swagger_ui_html,
    get_swagger_ui_oauth2_redirect_html,
)
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bali.rest.answers import WireResponse

__all__ = ["install_docs"]

#: The files that the pages load: name, media type, and whether it is kept compressed.
_ASSETS = {
    "swagger-ui-bundle.js": (b"text/javascript; charset=utf-8", True),
    "swagger-ui.css": (b"text/css; charset=utf-8", True),
    "redoc.standalone.js": (b"text/javascript; charset=utf-8", True),
    "favicon.png": (b"image/png", False),
}


def install_docs(
    app: FastAPI, *, docs_url: str | None = "/docs", redoc_url: str | None = "/redoc"
) -> None:
    """Add the pages to an app that was made with `docs_url=None, redoc_url=None`.

    Nothing is added for an address that is None, nor to an app without `openapi_url`. FastAPI's
    `swagger_ui_parameters`, `swagger_ui_init_oauth` and `swagger_ui_oauth2_redirect_url` are
    respected, and so is the root path under which a proxy serves the app.
    """
    if app.openapi_url is None or (docs_url is None and redoc_url is None):
        return
    assets_url = f"{(docs_url or redoc_url or '').rstrip('/')}/static"

    async def asset(request: Request) -> Response:
        return _asset(request)

    app.add_route(f"{assets_url}/{{name}}", asset, methods=["GET"], include_in_schema=False)
    if docs_url is not None:
        _add_swagger(app, docs_url, assets_url)
    if redoc_url is not None:
        _add_redoc(app, redoc_url, assets_url)


def _add_swagger(app: FastAPI, docs_url: str, assets_url: str) -> None:
    async def swagger(request: Request) -> Response:
        root = _root(request)
        redirect = app.swagger_ui_oauth2_redirect_url
        return get_swagger_ui_html(
            openapi_url=f"{root}{app.openapi_url}",
            title=f"{app.title} - Swagger UI",
            swagger_js_url=f"{root}{assets_url}/swagger-ui-bundle.js",
            swagger_css_url=f"{root}{assets_url}/swagger-ui.css",
            swagger_favicon_url=f"{root}{assets_url}/favicon.png",
            oauth2_redirect_url=f"{root}{redirect}" if redirect else None,
            init_oauth=app.swagger_ui_init_oauth,
            # The validator's badge would be loaded from a foreign server.
            swagger_ui_parameters={"validatorUrl": None, **(app.swagger_ui_parameters or {})},
        )

    async def redirected(_: Request) -> Response:
        return get_swagger_ui_oauth2_redirect_html()

    app.add_route(docs_url, swagger, methods=["GET"], include_in_schema=False)
    if app.swagger_ui_oauth2_redirect_url:
        app.add_route(
            app.swagger_ui_oauth2_redirect_url, redirected, methods=["GET"], include_in_schema=False
        )


def _add_redoc(app: FastAPI, redoc_url: str, assets_url: str) -> None:
    async def redoc(request: Request) -> Response:
        root = _root(request)
        return get_redoc_html(
            openapi_url=f"{root}{app.openapi_url}",
            title=f"{app.title} - Redoc",
            redoc_js_url=f"{root}{assets_url}/redoc.standalone.js",
            redoc_favicon_url=f"{root}{assets_url}/favicon.png",
            with_google_fonts=False,
        )

    app.add_route(redoc_url, redoc, methods=["GET"], include_in_schema=False)


def _root(request: Request) -> str:
    return str(request.scope.get("root_path", "")).rstrip("/")


def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _ASSETS:
        raise HTTPException(status_code=404)
    media_type, is_compressed = _ASSETS[name]
    body, etag = _load(name)
    headers = [
        (b"etag", etag),
        (b"cache-control", b"public, max-age=86400"),
        (b"vary", b"Accept-Encoding"),
    ]
    if request.headers.get("if-none-match", "").encode("latin-1") == etag:
        return WireResponse(304, b"", headers)
    headers += [(b"content-type", media_type), (b"x-content-type-options", b"nosniff")]
    if is_compressed and "gzip" in request.headers.get("accept-encoding", ""):
        headers.append((b"content-encoding", b"gzip"))
    elif is_compressed:
        body = gzip.decompress(body)
    return WireResponse(200, body, headers)


@functools.cache
def _load(name: str) -> tuple[bytes, bytes]:
    suffix = ".gz" if _ASSETS[name][1] else ""
    body = files("bali.rest").joinpath("static", f"{name}{suffix}").read_bytes()
    return body, b'"%b"' % hashlib.sha256(body).hexdigest()[:32].encode("ascii")
