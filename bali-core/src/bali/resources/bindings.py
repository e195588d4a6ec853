"""Where an action stands in HTTP (AIP-127)."""

from __future__ import annotations

from bali.errors import ConfigurationError
from bali.resources.action import ActionOptions
from bali.resources.naming import kebab
from bali.resources.spec import HttpBinding, Kind
from bali.schemas import ListNode, MapNode, Record, UnionNode

__all__ = ["custom_bindings", "is_query", "standard_binding"]

_QUERY_METHODS = ("GET", "DELETE")


def is_query(options: ActionOptions) -> bool:
    """Tell whether the arguments of an action always come from the query string."""
    return all(method in _QUERY_METHODS for method in options.methods)


def standard_binding(
    kind: Kind, path: str, body_field: str | None, *, is_empty: bool
) -> HttpBinding:
    """Return the binding of a standard action of the collection at `path`.

    `is_empty` says that it answers with nothing.
    """
    item = f"{path}/{{id}}"
    known = {
        Kind.LIST: HttpBinding(method="GET", path=path, body=None),
        Kind.CREATE: HttpBinding(method="POST", path=path, body=body_field, status=201),
        Kind.GET: HttpBinding(method="GET", path=item, body=None),
        Kind.UPDATE: HttpBinding(method="PATCH", path=item, body=body_field),
        Kind.DELETE: HttpBinding(
            method="DELETE", path=item, body=None, status=204 if is_empty else 200
        ),
        Kind.UNDELETE: HttpBinding(method="POST", path=f"{item}:undelete", body="*"),
    }
    return known[kind]


def custom_bindings(
    name: str, options: ActionOptions, path: str, request: Record, *, where: str
) -> tuple[HttpBinding, ...]:
    """Return the bindings of an action of the author's below `path`, one for each method.

    Raises `ConfigurationError`, beginning with `where`, for what no query string can hold.
    """
    full = f"{path}/{options.path or kebab(name)}"
    return tuple(_custom_binding(method, full, request, where) for method in options.methods)


def _custom_binding(method: str, path: str, request: Record, where: str) -> HttpBinding:
    if method not in _QUERY_METHODS:
        return HttpBinding(method=method, path=path, body="*")
    for field in request.fields:
        node = field.node.item if isinstance(field.node, ListNode) else field.node
        if isinstance(node, Record | ListNode | MapNode | UnionNode):
            raise ConfigurationError(
                f"{where}: field {field.wire_name!r} cannot be written in a query string; "
                "use methods=['post']"
            )
    return HttpBinding(method=method, path=path, body=None)
