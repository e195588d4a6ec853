"""Requests that an attacker would send, over both protocols."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from benchmarks.attacks.values import Draw

__all__ = ["http_request", "rpc_request"]

Arguments = dict[str, Any]


def _list(draw: Draw) -> Arguments:
    every: Arguments = {
        "filter": draw.filter(),
        "order_by": draw.order(),
        "page_token": draw.token(),
        "page_size": draw.choice(1, 1000, 0, 50),
        "skip": draw.choice(0, 1, 2**31 - 1),
        "with_total": draw.choice(True, False),
        "show_deleted": draw.choice(True, False),
        "subject": draw.text(),
        "subject__contains": draw.text(),
        "read_mask": draw.mask(),
    }
    return _some(draw, every)


def _change(draw: Draw) -> Arguments:
    return {
        "id": draw.key(),
        "letter": draw.letter(),
        **_some(draw, {"update_mask": draw.mask(), **_reserved(draw)}),
    }


def _reserved(draw: Draw) -> Arguments:
    return {
        "etag": draw.choice("*", '"x"', draw.text()),
        "request_id": draw.choice("victim-0", "", draw.text()),
        "validate_only": draw.choice(True, False),
    }


def _without_etag(draw: Draw) -> Arguments:
    reserved = _reserved(draw)
    del reserved["etag"]
    return _some(draw, reserved)


def _keys(draw: Draw) -> list[int]:
    return [draw.key() for _ in range(draw.choice(0, 1, 2, 20))]


#: What can be asked for, with the arguments of each.
_OPERATIONS: Mapping[str, Callable[[Draw], Arguments]] = {
    "list": _list,
    "get": lambda draw: {"id": draw.key(), **_some(draw, {"show_deleted": True})},
    "create": lambda draw: {"letter": draw.letter(), **_without_etag(draw)},
    "update": _change,
    "delete": lambda draw: {"id": draw.key(), **_some(draw, _reserved(draw))},
    "undelete": lambda draw: {"id": draw.key(), **_some(draw, _reserved(draw))},
    "batch_get": lambda draw: {"ids": _keys(draw), **_some(draw, {"show_deleted": True})},
    "batch_create": lambda draw: {
        "requests": [{"letter": draw.letter()} for _ in range(draw.choice(0, 1, 3))],
        **_without_etag(draw),
    },
    "batch_update": lambda draw: {
        "requests": [
            {"id": draw.key(), "letter": draw.letter(), "update_mask": draw.mask()}
            for _ in range(draw.choice(0, 1, 3))
        ]
    },
    "batch_delete": lambda draw: {"ids": _keys(draw), **_without_etag(draw)},
    "read": lambda draw: {"id": draw.key()},
    "forward": lambda draw: {"id": draw.key(), "to": draw.choice("mallory", draw.text())},
}
_ROUTES: Mapping[str, tuple[str, str]] = {
    "list": ("GET", "/letters"),
    "get": ("GET", "/letters/{id}"),
    "create": ("POST", "/letters"),
    "update": ("PATCH", "/letters/{id}"),
    "delete": ("DELETE", "/letters/{id}"),
    "undelete": ("POST", "/letters/{id}:undelete"),
    "batch_get": ("GET", "/letters:batchGet"),
    "batch_create": ("POST", "/letters:batchCreate"),
    "batch_update": ("POST", "/letters:batchUpdate"),
    "batch_delete": ("POST", "/letters:batchDelete"),
    "read": ("GET", "/letters/{id}/read"),
    "forward": ("POST", "/letters/{id}/forward"),
}


def _some(draw: Draw, every: Mapping[str, Any]) -> Arguments:
    return {name: value for name, value in every.items() if draw.random.random() < 0.4}


def http_request(draw: Draw) -> tuple[str, str, bytes]:
    """Return method, path with query, and body of one request."""
    operation = draw.random.choice(tuple(_OPERATIONS))
    arguments = _OPERATIONS[operation](draw)
    method, path = _ROUTES[operation]
    if "{id}" in path:
        key = arguments.pop("id")
        shown = key if draw.random.random() < 0.8 else f"{key}{draw.text()}"
        path = path.replace("{id}", quote(str(shown), safe="") or "0")
    body = b""
    if operation in ("create", "update"):
        body = _body(draw, arguments.pop("letter"))
    elif method == "POST":
        body = _body(draw, arguments)
        arguments = {}
    query = "&".join(
        f"{quote(name)}={quote(str(item), safe='')}"
        for name, value in arguments.items()
        for item in (value if isinstance(value, list) else [value])
    )
    return method, f"{path}?{query}" if query else path, body


def _body(draw: Draw, value: Any) -> bytes:
    kind = draw.random.random()
    if kind < 0.05:
        return draw.random.randbytes(40)
    if kind < 0.1:
        value = {**value, draw.choice("subject", "x"): draw.nested()}
    text = json.dumps(value)
    if kind < 0.15:
        text = text[: draw.random.randrange(len(text))]
    if kind < 0.18:
        text = text.replace(":", ":NaN,", 1)
    return text.encode("utf-8", "surrogatepass")


def rpc_request(draw: Draw) -> tuple[str, Arguments | bytes]:
    """Return the operation and the arguments, or the bytes, of one call."""
    operation = draw.random.choice(tuple(_OPERATIONS))
    if draw.random.random() < 0.1:
        return operation, draw.random.randbytes(draw.random.randrange(60))
    return operation, _OPERATIONS[operation](draw)
