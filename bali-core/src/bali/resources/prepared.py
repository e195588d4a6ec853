"""What the calls of one action share, made once at start."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from bali.resources.batches import validator_of
from bali.resources.context import Context
from bali.resources.expanding import EXPAND
from bali.resources.guards import Guard
from bali.resources.nesting import parent_keys
from bali.resources.permissions import AllowAny
from bali.resources.read_masks import READ_MASK, take_paths
from bali.resources.reading import Short, read_of
from bali.resources.repeating import Repeater
from bali.resources.requests import ListRequest
from bali.resources.reserved import reserve
from bali.resources.spec import ActionSpec
from bali.resources.store import ContractStore
from bali.resources.traversal import filter_relations, seen_relations
from bali.resources.writing import write_of

__all__ = ["Prepared"]


class Prepared:
    """What the calls of one action share."""

    __slots__ = (
        "_guard",
        "_is_placed",
        "_relations",
        "_spec",
        "is_checked",
        "is_simple",
        "make",
        "permissions",
        "repeater",
        "short",
        "validator",
    )

    def __init__(self, spec: ActionSpec, max_depth: int) -> None:
        self._spec = spec
        self.permissions = tuple(item for item in spec.permissions if type(item) is not AllowAny)
        self.validator = validator_of(spec, max_depth=max_depth)
        self.short: Short | None = read_of(spec) or write_of(spec)
        #: Makes the object that serves a call, of its context. Only servicers need the metaclass.
        self.make = functools.partial(type.__call__, spec.resource, None)
        self._relations = filter_relations(spec.resource)
        self._is_placed = bool(spec.parents or self._relations)
        guard = Guard(spec)
        self._guard = None if guard.is_idle else guard
        self.is_checked = bool(spec.parents) or self._guard is not None
        self.repeater: Repeater | None = None
        #: Nothing is left to do but what the action itself does.
        self.is_simple = (
            self.short is None
            and not (self.is_checked or spec.reserved or spec.work)
            and not any((spec.etags, spec.expansions, spec.read_masks))
        )
        store = spec.resource.find_store() if "request_id" in spec.reserved else None
        if isinstance(store, ContractStore):
            self.repeater = Repeater(spec, store.repeats)

    def read(self, arguments: Mapping[str, Any], context: Context) -> Mapping[str, Any]:
        """Return the keyword arguments of the action; what is not the action's is the context's."""
        spec = self._spec
        parameters, keywords = self.validator.read(arguments)
        if parameters is None and not keywords:
            return keywords
        if spec.reserved:
            reserve(context, spec.reserved, parameters)
        if spec.read_masks is not None:
            context.read_mask = take_paths(parameters, READ_MASK)
        if self._is_placed:
            self.place(context, parameters, keywords)
        if spec.expansions is not None:
            context.expand = take_paths(parameters, EXPAND)
        return keywords

    async def check(self, resource: Any, keywords: Mapping[str, Any]) -> None:
        """Raise when the parent is not there, or items are not as they have to be."""
        if self._spec.parents:
            await resource.store.check_parent()
        if self._guard is not None:
            await self._guard.check(resource, resource.context, keywords)

    def place(
        self, context: Context, parameters: BaseModel | None, keywords: Mapping[str, Any]
    ) -> None:
        """Say whose items a call is about, and what its filter may look at."""
        if self._spec.parents:
            context.parents = parent_keys(self._spec.parents, parameters)
        if self._relations:
            for request in keywords.values():
                if isinstance(request, ListRequest):
                    request.look_through(seen_relations(self._relations, context))
