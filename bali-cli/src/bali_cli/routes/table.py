"""Operations as a table, for people, and as JSON, for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from bali_cli.console import result
from bali_cli.routes.operations import Operation

__all__ = ["print_json", "print_table"]

_HEADINGS = ("OPERATION", "REST", "GRPC", "PERMISSIONS")
_PUBLIC = "public!"


def print_json(operations: Sequence[Operation]) -> None:
    """Print a list with one object for each operation.

    `permissions` is null where bali does not know them; `public` is true for an action without
    any.
    """
    result(json.dumps([_record(operation) for operation in operations], indent=2))


def print_table(operations: Sequence[Operation]) -> None:
    """Print a table: drawn on a terminal, elsewhere columns that line up and no colours."""
    if sys.stdout.isatty():
        _print_drawn(operations)
        return
    rows = [_HEADINGS, *(row for operation in operations for row in _rows(operation))]
    widths = [max(len(row[index]) for row in rows) for index in range(len(_HEADINGS) - 1)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        result("  ".join([*cells, row[-1]]).rstrip())


def _rows(operation: Operation) -> list[tuple[str, str, str, str]]:
    """Return one line for each path; what is the same in all of them stands in the first."""
    paths = [f"{item.method} {item.path}" for item in operation.bindings] or ["-"]
    first = (operation.name, paths[0], _method(operation), _permissions(operation))
    return [first, *(("", path, "", "") for path in paths[1:])]


def _print_drawn(operations: Sequence[Operation]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in _HEADINGS:
        table.add_column(heading.capitalize() if heading != "GRPC" else "gRPC", overflow="fold")
    table.columns[1].header = "REST"
    for operation in operations:
        paths = "\n".join(f"{item.method} {item.path}" for item in operation.bindings) or "-"
        permissions = Text(_permissions(operation), "bold red" if operation.is_public else "")
        # Names and paths are data: nothing in them is to be taken for rich's markup.
        table.add_row(Text(operation.name), Text(paths), Text(_method(operation)), permissions)
    Console().print(table)


def _method(operation: Operation) -> str:
    if operation.method is None:
        return "-"
    streaming = operation.method.streaming
    notes = [f"{streaming} stream"] if streaming else []
    notes += ["long-running"] if operation.is_long_running else []
    return operation.method.full_name + (f" ({', '.join(notes)})" if notes else "")


def _permissions(operation: Operation) -> str:
    if operation.permissions is None:
        return "-"
    return ", ".join(operation.permissions) or _PUBLIC


def _record(operation: Operation) -> dict[str, Any]:
    method = operation.method
    return {
        "operation": operation.name,
        "kind": operation.kind,
        "rest": [{"method": item.method, "path": item.path} for item in operation.bindings],
        "grpc": None
        if method is None
        else {"method": method.full_name, "streaming": method.streaming},
        "permissions": None if operation.permissions is None else list(operation.permissions),
        "public": operation.is_public,
        "long_running": operation.is_long_running,
    }
