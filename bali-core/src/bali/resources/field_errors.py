"""What is wrong with the fields of a request, by the names that its caller wrote."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pydantic import ValidationError

from bali.errors import FieldError
from bali.resources.values import MAX_NAME_LENGTH
from bali.schemas import Field, ListNode, MapNode, Node, Record, UnionNode

__all__ = ["MAX_ERRORS", "field_errors", "placed", "wrong_field"]

#: How many fields one error names.
MAX_ERRORS = 100
_REASONS = {"missing": "REQUIRED", "extra_forbidden": "UNKNOWN_FIELD"}
_MAX_DESCRIPTION_LENGTH = 500


def wrong_field(field: str, reason: str, description: str) -> FieldError:
    """Return an error of one field, of a length that an answer can have."""
    return FieldError(
        field=field[:MAX_NAME_LENGTH],
        reason=reason,
        description=description[:_MAX_DESCRIPTION_LENGTH],
    )


def field_errors(
    error: ValidationError, node: Node | None = None, *, is_stored: bool = False
) -> list[FieldError]:
    """Return pydantic's errors in our form, without the values that were sent.

    `node` is the tree of what was validated; it tells the tags that pydantic puts into the path of
    a union's field from the names that the caller wrote. `is_stored`: what was validated has the
    names of attributes, which callers do not know.
    """
    return [
        wrong_field(
            _path(item["loc"], node, is_stored=is_stored),
            _REASONS.get(item["type"], item["type"].upper()),
            item["msg"],
        )
        for item in error.errors(include_url=False, include_input=False, include_context=False)
    ]


def placed(place: str, errors: Iterable[FieldError]) -> list[FieldError]:
    """Return errors of what is at a place ("address") with the full paths of their fields."""
    return [
        replace(error, field=(f"{place}.{error.field}" if error.field else place)[:MAX_NAME_LENGTH])
        for error in errors
    ]


def _path(location: tuple[int | str, ...], node: Node | None, *, is_stored: bool) -> str:
    path = ""
    for part in location:
        if isinstance(node, UnionNode):  # pydantic names the variant, which the caller did not
            node = next((item.record for item in node.variants if item.tag == part), None)
            continue
        inner = _inner(node, part)
        if isinstance(part, int):
            path = f"{path}[{part}]"
        elif part != "[key]" or isinstance(node, MapNode):  # pydantic's mark of a dict's wrong key
            name = inner.wire_name if is_stored and isinstance(inner, Field) else part
            path = f"{path}.{name}" if path else name
        node = inner.node if isinstance(inner, Field) else inner
    return path


def _inner(node: Node | None, part: int | str) -> Field | Node | None:
    if isinstance(node, ListNode):
        return node.item
    if isinstance(node, MapNode):
        return node.value
    if isinstance(node, Record):
        return next((field for field in node.fields if part in (field.wire_name, field.name)), None)
    return None
