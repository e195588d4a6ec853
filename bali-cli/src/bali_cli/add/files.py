"""The files of `clients/` that are the user's, or are shared by all clients."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

__all__ = ["CONFIG", "UTILS", "exports_block", "names_outside", "with_block"]

_BEGIN = "# bali: clients (this block is written by `bali add`; the rest of the file is yours)"
_END = "# bali: end"

CONFIG = '''"""Where the services are, and how they are called. Yours: nothing overwrites it.

The environment comes first: `USER_GRPC_ADDRESS`, `USER_GRPC_TIMEOUT`, `USER_GRPC_TLS` for a
service "user". A service that is named nowhere is looked for at `user:9080`.
"""

from __future__ import annotations

from typing import Any

#: Addresses by service, as in {"user": "localhost:9080"}.
GRPC_ADDRESSES: dict[str, str] = {}

#: Seconds that a call may take; a stream has no limit of its own.
GRPC_TIMEOUT: float | None = 10.0

#: How often a call that may be repeated is tried in all.
GRPC_ATTEMPTS = 3

#: Sent with every call.
GRPC_METADATA: dict[str, str] = {}

#: Names of incoming metadata that is sent on, as in ("authorization",).
GRPC_FORWARD: tuple[str, ...] = ()

#: Where answers of calls with `cache_timeout` are kept: an object with get, set and delete.
GRPC_CACHE: Any = None
'''

UTILS = '''"""Connects the clients with `_config.py`. Written by `bali add`; do not edit."""

from __future__ import annotations

from bali.clients import ClientOptions

from . import _config

__all__ = ["options_for"]


def options_for(service: str) -> ClientOptions:
    """Return how to reach a service."""
    return ClientOptions.from_config(service, _config)
'''


def exports_block(modules: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the lines that export names: `modules` are names by the module they come from."""
    lines = [_BEGIN]
    for module, names in sorted(modules.items()):
        lines.append(f"from {module} import (")
        lines += [f"    {name} as {name}," for name in sorted(names)]
        lines.append(")")
    return [*lines, _END]


def with_block(text: str, block: Sequence[str]) -> str:
    """Return a module's text with the block in place of the former one.

    Where there was none it comes behind the docstring and the imports of `__future__`, before
    everything that might use it. Nothing else is changed.
    """
    lines = text.splitlines()
    if _BEGIN in lines and _END in lines[lines.index(_BEGIN) :]:
        start = lines.index(_BEGIN)
        end = lines.index(_END, start) + 1
        lines[start:end] = block
        return "\n".join(lines) + "\n"
    place = _place_for_block(text)
    before, after = lines[:place], lines[place:]
    parts = [*before, *([""] if before and before[-1].strip() else []), *block]
    if after:
        parts += ["", *after] if after[0].strip() else after
    return "\n".join(parts).rstrip("\n") + "\n"


def names_outside(text: str) -> set[str]:
    """Return the names that a module defines or imports outside the block."""
    lines = text.splitlines()
    if _BEGIN in lines and _END in lines:
        del lines[lines.index(_BEGIN) : lines.index(_END) + 1]
    found: set[str] = set()
    for node in ast.parse("\n".join(lines)).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {item.asname or item.name for item in node.names}
    return found


def _place_for_block(text: str) -> int:
    """Return the line behind the docstring and the imports of `__future__`."""
    place = 0
    for index, node in enumerate(ast.parse(text).body):
        is_docstring = (
            index == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        )
        is_future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        if not (is_docstring or is_future):
            break
        place = node.end_lineno or place
    return place
