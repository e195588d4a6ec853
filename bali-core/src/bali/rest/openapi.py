"""The OpenAPI document of an app: FastAPI's own part for plain routes, and the resources."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts

from bali.resources import ActionSpec, ResourceSpec
from bali.rest.components import PREFIX, Components
from bali.rest.operations import BEARER_SCHEMES, PROBLEMS, Operation, needs_credentials
from bali.rest.problems import PROBLEM_TYPE
from bali.rest.routes import ActionRoute

__all__ = ["build_openapi"]

_FASTAPI_ERRORS = ("HTTPValidationError", "ValidationError")
_PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "type": "object",
    "description": "An error (RFC 9457).",
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string", "description": "The phrase of the HTTP status."},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "code": {"type": "string", "description": "The canonical gRPC code."},
        "reason": {"type": "string", "description": "A stable word for programs."},
        "detail": {"description": "One sentence for people."},
        "errors": {
            "type": "array",
            "description": "The fields that are wrong.",
            "items": {
                "type": "object",
                "properties": {
                    "field": {"type": "string"},
                    "reason": {"type": "string"},
                    "description": {"type": "string"},
                },
                "required": ["field", "reason", "description"],
            },
        },
        "request_id": {"type": "string"},
    },
    "required": ["type", "title", "status", "code", "reason", "detail", "request_id"],
    "examples": [
        {
            "type": "about:blank",
            "title": "Not Found",
            "status": 404,
            "code": "NOT_FOUND",
            "reason": "NOT_FOUND",
            "detail": "The resource does not exist",
            "request_id": "5f1d7f2c9a3b4d6e8f7a6b5c4d3e2f1a",
        }
    ],
}


def build_openapi(
    app: FastAPI,
    specs: Sequence[ResourceSpec],
    *,
    security_schemes: Mapping[str, Mapping[str, Any]] = BEARER_SCHEMES,
) -> dict[str, Any]:
    """Return the document of an app with resources.

    It follows the routes that the app has, so prefixes and tags of `include_router` count. `specs`
    are the resources in the order in which they are to be listed. Where a plain route and a
    resource answer the same method and path, the one that the router finds first is told of.
    `security_schemes`: how callers prove who they are, any one of them is enough.
    """
    contexts = list(iter_route_contexts(app.routes))
    document = _plain_document(app, contexts)
    actions = [
        context
        for context in contexts
        if isinstance(context.original_route, ActionRoute) and context.include_in_schema
    ]
    _add_shared(document)
    _tell_problems(document)
    components = Components(_specs_of(actions), document.get("components", {}).get("schemas", {}))
    _add_operations(document, contexts, actions, components, tuple(security_schemes))
    if actions:
        schemas = {**document["components"]["schemas"], **components.schemas}
        used = _mentioned(document, schemas)
        document["components"]["schemas"] = {n: schemas[n] for n in sorted(schemas) if n in used}
        _add_tags(document, specs, actions)
    if any(needs_credentials(spec) for spec in _specs_of(actions)):
        known = document["components"].get("securitySchemes", {})
        document["components"]["securitySchemes"] = {**security_schemes, **known}
    return document


def _plain_document(app: FastAPI, contexts: Iterable[RouteContext]) -> dict[str, Any]:
    plain = [item for item in contexts if not isinstance(item.original_route, ActionRoute)]
    return get_openapi(
        title=app.title,
        version=app.version,
        openapi_version=app.openapi_version,
        summary=app.summary,
        description=app.description,
        terms_of_service=app.terms_of_service,
        contact=app.contact,
        license_info=app.license_info,
        routes=plain,
        webhooks=app.webhooks.routes,
        tags=app.openapi_tags,
        servers=app.servers,
        separate_input_output_schemas=app.separate_input_output_schemas,
        external_docs=app.openapi_external_docs,
    )


def _specs_of(actions: Iterable[RouteContext]) -> list[ActionSpec]:
    return [
        context.original_route.spec
        for context in actions
        if isinstance(context.original_route, ActionRoute)
    ]


def _add_operations(
    document: dict[str, Any],
    contexts: Sequence[RouteContext],
    actions: Sequence[RouteContext],
    components: Components,
    security_schemes: Sequence[str],
) -> None:
    version = tuple(int(part) for part in str(document["openapi"]).split(".")[:2])
    item_keyword = "itemSchema" if version >= (3, 2) else "schema"
    shadowed = _shadowed(contexts)
    seen: dict[str, int] = {}
    for context in actions:
        route = cast("ActionRoute", context.original_route)
        path, method = str(context.path_format), route.binding.method.lower()
        if (path, method) in shadowed:
            continue
        name = str(context.operation_id)
        seen[name] = seen.get(name, 0) + 1
        builder = Operation(
            route.spec,
            route.binding,
            components,
            item_keyword=item_keyword,
            security_schemes=security_schemes,
            tells_scopes=version >= (3, 1),
        )
        operation = builder.build(
            operation_id=name if seen[name] == 1 else f"{name}_{seen[name]}",
            tags=[str(getattr(tag, "value", tag)) for tag in context.tags],
            deprecated=bool(context.deprecated),
        )
        if context.dependant.dependencies:
            _add_dependencies(document, context, operation)
        document["paths"].setdefault(path, {})[method] = operation
        shadowed.add((path, method))


def _add_dependencies(
    document: dict[str, Any], context: RouteContext, operation: dict[str, Any]
) -> None:
    """Add what FastAPI knows of a route's dependencies: parameters and security."""
    own = get_openapi(title="", version="", routes=[context])
    for path in own["paths"].values():
        for told in path.values():
            operation["parameters"] += told.get("parameters", [])
            alternatives = told.get("security")
            if alternatives:
                needed = operation.get("security", [{}])
                operation["security"] = [{**a, **b} for a in needed for b in alternatives]
    for kind, parts in own.get("components", {}).items():
        known = document["components"].setdefault(kind, {})
        for name, part in parts.items():
            if name not in _FASTAPI_ERRORS:
                known.setdefault(name, part)


def _shadowed(contexts: Sequence[RouteContext]) -> set[tuple[str, str]]:
    """Return the methods and paths that a plain route answers before any resource."""
    taken: set[tuple[str, str]] = set()
    resources: set[tuple[str, str]] = set()
    for context in contexts:
        keys = {(str(context.path_format), item.lower()) for item in context.methods or ()}
        if isinstance(context.original_route, ActionRoute):
            resources |= keys
        elif isinstance(context.original_route, APIRoute):
            taken |= keys - resources
    return taken


def _add_shared(document: dict[str, Any]) -> None:
    components = document.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = _PROBLEM_SCHEMA
    components["responses"] = {
        **components.get("responses", {}),
        **{name: _problem(status, text) for status, (name, text) in PROBLEMS.items()},
        "Problem": _problem(0, "Any other error"),
    }
    components["headers"] = {
        "XRequestId": {
            "description": "The id of this call, to be quoted when something is wrong.",
            "schema": {"type": "string"},
        },
        "RetryAfter": {
            "description": "After how many seconds trying again may help.",
            "schema": {"type": "integer", "minimum": 1},
        },
        "Location": {
            "description": "The address of the new item, or of the operation.",
            "schema": {"type": "string", "format": "uri-reference"},
        },
        "ETag": {
            "description": "The state of the item, as `If-Match` and `If-None-Match` take it.",
            "schema": {"type": "string"},
        },
        "WWWAuthenticate": {
            "description": "The kind of credentials that are accepted.",
            "schema": {"type": "string"},
        },
    }
    components["parameters"] = {
        "XRequestId": {
            "name": "X-Request-Id",
            "in": "header",
            "required": False,
            "description": "An id of the caller's own for this call; one is made otherwise.",
            "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:/+=-]{1,128}$"},
        },
        "XRequestTimeout": {
            "name": "X-Request-Timeout",
            "in": "header",
            "required": False,
            "description": "For how many seconds the caller waits for the answer.",
            "schema": {"type": "number", "minimum": 0, "exclusiveMaximum": 1000000000},
            "example": 2.5,
        },
        "IfMatch": _header("If-Match", "Do it only while the item has one of these etags."),
        "IfNoneMatch": _header(
            "If-None-Match", "Answer 304 without a body while the item has one of these etags."
        ),
        "IdempotencyKey": _header(
            "Idempotency-Key",
            "A unique id of this request: what is sent again with it is done once, and answered "
            "alike.",
        ),
    }


def _header(name: str, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string"},
    }


def _problem(status: int, text: str) -> dict[str, Any]:
    headers = {"X-Request-Id": {"$ref": "#/components/headers/XRequestId"}}
    if status in (429, 503):
        headers["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
    if status == 401:  # noqa: PLR2004 - the status itself
        headers["WWW-Authenticate"] = {"$ref": "#/components/headers/WWWAuthenticate"}
    return {
        "description": text,
        "headers": headers,
        "content": {PROBLEM_TYPE: {"schema": {"$ref": f"{PREFIX}Problem"}}},
    }


def _tell_problems(document: dict[str, Any]) -> None:
    """Tell what plain routes answer to a wrong request now that errors are problems."""
    reference = {"$ref": f"{PREFIX}HTTPValidationError"}
    for path in document["paths"].values():
        for operation in path.values():
            responses = operation.get("responses") if isinstance(operation, dict) else None
            if responses is None:
                continue
            content = responses.get("422", {}).get("content", {})
            if content.get("application/json", {}).get("schema") == reference:
                responses["422"] = {"$ref": "#/components/responses/ValidationFailed"}
            responses.setdefault("default", {"$ref": "#/components/responses/Problem"})
    schemas = document["components"]["schemas"]
    for name in _FASTAPI_ERRORS:
        if name not in _mentioned(document, schemas):
            schemas.pop(name, None)


def _mentioned(document: dict[str, Any], schemas: dict[str, Any]) -> set[str]:
    """Return the names of the schemas that the document reaches."""
    rest = {key: value for key, value in document.items() if key != "components"}
    others = {k: v for k, v in document.get("components", {}).items() if k != "schemas"}
    pending, found = [rest, others], set[str]()
    while pending:
        for name in _references(pending.pop()):
            if name not in found:
                found.add(name)
                if name in schemas:
                    pending.append(schemas[name])
    return found


def _references(part: Any) -> set[str]:
    text = json.dumps(part, default=str)
    return {piece.partition('"')[0] for piece in text.split(PREFIX)[1:]}


def _add_tags(
    document: dict[str, Any], specs: Sequence[ResourceSpec], actions: Sequence[RouteContext]
) -> None:
    tags: list[dict[str, Any]] = document.setdefault("tags", [])
    known = {tag["name"] for tag in tags}
    used = {str(tag) for context in actions for tag in context.tags}
    for spec in specs:
        if spec.plural in used and spec.plural not in known:
            described = {"description": spec.description} if spec.description else {}
            tags.append({"name": spec.plural, **described})
