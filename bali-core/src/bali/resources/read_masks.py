"""`read_mask` of get and list: which fields of an item to answer with (AIP-157)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field
from pydantic_core import PydanticCustomError

from bali.resources.field_masks import bounded_mask
from bali.resources.values import MAX_NAME_LENGTH
from bali.schemas import ListNode, Record
from bali.schemas.parts import EVERYTHING, Cut, UnknownPath, part_of, paths_in

__all__ = ["READ_MASK", "ReadMasks", "read_masks_of", "take_paths"]

READ_MASK = "read_mask"
_MAX_PATHS = 100
_MAX_KNOWN = 128
_DESCRIPTION = "The fields of an item to return, as in `id,address.city`; all when absent, or `*`."


class ReadMasks:
    """The masks of one action, and the parts of its answers that they name.

    Safe for any number of calls at once.
    """

    def __init__(self, response: Record, *, is_wrapped: bool) -> None:
        self._response = response
        self._is_wrapped = is_wrapped
        self._known: OrderedDict[tuple[str, ...], Cut | None] = OrderedDict()

    def field(self) -> dict[str, Any]:
        """Return the field of a request that holds a mask, as `create_model` takes it."""
        mask = bounded_mask(_MAX_PATHS, self._checked)
        return {READ_MASK: (mask | None, Field(default=None, description=_DESCRIPTION))}

    def part(self, answer: BaseModel | None, paths: Sequence[str]) -> BaseModel | None:
        """Return the part of an answer that the paths of a mask name."""
        cut = self._cut(tuple(paths))
        return answer if cut is None else cut(answer)

    def _checked(self, paths: list[str]) -> list[str]:
        try:
            self._cut(tuple(paths))
        except UnknownPath as error:
            text = f"{READ_MASK} has no field {error.path[:MAX_NAME_LENGTH]!r}"
            raise PydanticCustomError("unknown_field", "{text}", {"text": text}) from None
        return paths

    def _cut(self, paths: tuple[str, ...]) -> Cut | None:
        """Return what makes the part, None for everything; made once while masks are few."""
        if paths in self._known:
            return self._known[paths]
        for path in paths:  # each by itself, as one may be within another
            self._compiled((path,))
        cut = self._compiled(paths)
        self._known[paths] = cut
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)
        return cut

    def _compiled(self, paths: tuple[str, ...]) -> Cut | None:
        found = paths_in(paths)
        return part_of(self._response, self._of_response(found)) if found else None

    def _of_response(self, paths: Any) -> dict[str, Any]:
        """Return paths of an item as paths of the response, whose other fields stay."""
        if not self._is_wrapped:
            return dict(paths)
        holder, *others = self._response.fields
        inner = {EVERYTHING: paths} if isinstance(holder.node, ListNode) else paths
        return {holder.wire_name: inner, **{field.wire_name: None for field in others}}


def read_masks_of(response: Record | None, *, is_wrapped: bool) -> ReadMasks | None:
    """Return the masks of an action, None when it does not answer with items that have fields.

    `is_wrapped`: the first field of the response holds the item, or a list of them.
    """
    if response is None:
        return None
    item: Any = response
    if is_wrapped:
        node = response.fields[0].node
        item = node.item if isinstance(node, ListNode) else node
    return ReadMasks(response, is_wrapped=is_wrapped) if isinstance(item, Record) else None


def take_paths(parameters: BaseModel | None, name: str) -> tuple[str, ...]:
    """Return the paths in a field of a validated request, and take it out: it is not the action's.

    No path means everything.
    """
    if parameters is None:
        return ()
    parameters.__pydantic_fields_set__.discard(name)
    return tuple(parameters.__dict__.pop(name, None) or ())
