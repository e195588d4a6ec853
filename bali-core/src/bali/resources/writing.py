"""The short way of the generic create and update: from the request to one statement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from bali.resources.changes import changes_of, has_immutable, values_of
from bali.resources.context import Context
from bali.resources.permissions import checks_objects
from bali.resources.reading import Short, is_checked
from bali.resources.resource import has_own
from bali.resources.spec import ActionSpec, Kind
from bali.resources.store import ContractStore, WritePlan

__all__ = ["write_of"]


def write_of(spec: ActionSpec) -> Short | None:
    """Return the short way of an action; None when it has code of its own, or its store no plan."""
    if spec.kind not in (Kind.CREATE, Kind.UPDATE) or has_own(spec.resource, spec.function_name):
        return None
    if checks_objects(spec.permissions) or spec.parents or spec.resource.limits_sight():
        return None
    store, schema = spec.resource.find_store(), spec.response_model
    if not isinstance(store, ContractStore) or schema is None or spec.response is None:
        return None
    plan = store.write_plan(schema)
    if plan is None or is_checked(spec.response):
        return None
    return _create(spec, plan) if spec.kind is Kind.CREATE else _update(spec, plan)


def _create(spec: ActionSpec, plan: WritePlan) -> Short:
    name = str(spec.keyword_of_body)

    async def create(keywords: Mapping[str, Any], context: Context) -> BaseModel | None:
        if not _is_alone(context):
            return None
        return await plan.create(values_of(keywords[name], with_defaults=True))

    return create


def _update(spec: ActionSpec, plan: WritePlan) -> Short | None:
    key, name = str(spec.keyword_of_id), str(spec.keyword_of_body)
    if spec.body is None or has_immutable(spec.body):
        return None

    async def update(keywords: Mapping[str, Any], context: Context) -> BaseModel | None:
        if not _is_alone(context):
            return None
        values = changes_of(keywords[name], values_of(keywords[name]))
        return await plan.update(keywords[key], values) if type(values) is dict else None

    return update


def _is_alone(context: Context) -> bool:
    """Tell whether nothing else belongs to the transaction of a call."""
    return not (context.validate_only or context.repeat_key or context.expected_etag)
