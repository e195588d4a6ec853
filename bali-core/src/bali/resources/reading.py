"""The short way of the generic get and list: from the store to the response, without a stop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, TypeAlias, get_args

from pydantic import BaseModel

from bali.resources.context import Context
from bali.resources.permissions import checks_objects
from bali.resources.resource import has_own
from bali.resources.spec import ActionSpec, Kind
from bali.resources.store import ContractStore, ReadPlan, Store
from bali.schemas import ListNode, Node, Record, Scalar, ScalarKind

__all__ = ["Short", "is_checked", "read_of"]

#: Answers a call with its keyword arguments; None when the action itself has to.
Short: TypeAlias = Callable[[Mapping[str, Any], Context], Awaitable[BaseModel | None]]

#: What a store may hold and no protocol carries (NaN): such values go the long way, and are found.
_UNCHECKED = frozenset({ScalarKind.FLOAT, ScalarKind.ANY, ScalarKind.TIME, ScalarKind.TIMEDELTA})

#: The protocols whose answers are messages.
_OF_MESSAGES = ("grpc", "connect", "grpc-web")


def read_of(spec: ActionSpec) -> Short | None:
    """Return the short way of an action; None when it has code of its own, or its store no plan."""
    if spec.kind not in (Kind.GET, Kind.LIST) or has_own(spec.resource, spec.function_name):
        return None
    if spec.kind is Kind.GET and checks_objects(spec.permissions):
        return None
    store = spec.resource.find_store()
    schema = spec.response_model
    if schema is not None and spec.kind is Kind.LIST:
        schema = get_args(schema.model_fields["items"].annotation)[0]
    if not isinstance(store, ContractStore) or schema is None or spec.response is None:
        return None
    plan = store.read_plan(schema)
    if plan is None or is_checked(spec.response):
        return None
    limits_sight = spec.resource.limits_sight() or "show_deleted" in spec.reserved or spec.parents
    shared = None if limits_sight else store
    return _get(spec, plan, shared) if spec.kind is Kind.GET else _list(spec, plan, shared)


def _get(spec: ActionSpec, plan: ReadPlan, shared: Store | None) -> Short:
    """Return the short way of a get; `shared` is the store that every caller sees, if one is."""
    name, resource = str(spec.keyword_of_id), spec.resource

    def get(keywords: Mapping[str, Any], context: Context) -> Awaitable[BaseModel]:
        store = resource(None, context).store if shared is None else shared
        return plan.get(store, keywords[name])

    return get


def _list(spec: ActionSpec, plan: ReadPlan, shared: Store | None) -> Short:
    """Return the short way of a list; `shared` is as for `_get`."""
    resource, name, response = spec.resource, str(spec.keyword_of_body), spec.response_model

    async def read(keywords: Mapping[str, Any], context: Context) -> BaseModel | None:
        is_seen = context.protocol == "local" or context.expand or context.read_mask
        packs = context.protocol in _OF_MESSAGES and not is_seen
        store = resource(None, context).store if shared is None else shared
        page = await plan.list(store, keywords[name].query(), packs=packs)
        if response is None or page is None:
            return None
        items = list(page.items) if is_seen else page.items  # encoders take rows as they are
        return response.model_construct(
            items=items, next_page_token=page.next_page_token, total=page.total
        )

    return read


def is_checked(response: Node) -> bool:
    """Tell whether an answer may hold what a store knows and no protocol carries."""
    return any(map(_needs_check, _plain_nodes(response)))


def _plain_nodes(response: Node) -> Iterator[Node]:
    """Yield what an answer holds that expands nothing."""
    pending, seen = [response], set()
    while pending:
        node = pending.pop()
        if isinstance(node, ListNode):
            pending.append(node.item)
        elif isinstance(node, Record) and id(node) not in seen:
            seen.add(id(node))
            pending += [field.node for field in node.fields if not field.is_expanded]
        yield node


def _needs_check(node: Any) -> bool:
    return isinstance(node, Scalar) and node.kind in _UNCHECKED
