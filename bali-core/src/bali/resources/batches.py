"""Batches: one call that does many times what a standard action does once (AIP-231 to 235)."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from annotated_types import MaxLen, MinLen
from pydantic import BaseModel, ConfigDict, Field, create_model

from bali.errors import FieldError, ValidationFailed
from bali.resources.action import ActionOptions, place_of
from bali.resources.field_errors import MAX_ERRORS
from bali.resources.messages import response
from bali.resources.naming import camel
from bali.resources.nesting import parent_fields, parent_keys
from bali.resources.owner import Owner
from bali.resources.permissions import permissions_of
from bali.resources.reserved import reserved_fields
from bali.resources.signature import read_signature
from bali.resources.spec import ActionSpec, HttpBinding, Kind, Wrap
from bali.resources.validation import MAX_DEPTH, Validator, check_depth
from bali.schemas import Field as TreeField
from bali.schemas import ListNode, Record
from bali.schemas.answers import answers_of

__all__ = ["BATCHES", "MAX_BATCH", "BatchValidator", "Change", "batch_spec", "validator_of"]

#: How many items a batch may have.
MAX_BATCH = 1000
#: The batch of each standard action.
BATCHES: Mapping[str, Kind] = {
    "get": Kind.BATCH_GET,
    "create": Kind.BATCH_CREATE,
    "update": Kind.BATCH_UPDATE,
    "delete": Kind.BATCH_DELETE,
}
_OF_THE_BATCH = ("request_id", "validate_only")
_ITEMS = "requests"
_KEYS = "ids"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One update of a batch: the key of an item, what was sent, and the etag it should have."""

    key: Any
    values: BaseModel
    etag: str = ""


def batch_spec(
    owner: Owner, kind: Kind, function: Any, options: ActionOptions, single: ActionSpec
) -> ActionSpec:
    """Return the specification of the batch of a standard action."""
    name = kind.value
    stem = f"{camel(name)}{camel(owner.plural)}"
    by_key = kind in (Kind.BATCH_GET, Kind.BATCH_DELETE)
    own = parent_fields(owner.resource) | (_keys(single) if by_key else {})
    own |= reserved_fields(kind, owner.store)
    expansions = single.expansions if kind is Kind.BATCH_GET else None
    own |= expansions.field() if expansions is not None else {}
    parameters = create_model(f"{stem}Parameters", __config__=ConfigDict(extra="forbid"), **own)
    request = Record(name=f"{stem}Request", description=f"Request of {stem}.")
    fields = owner.describer.model(parameters).fields
    if not by_key:
        items = TreeField(name=_ITEMS, node=ListNode(item=single.request))
        count = len(owner.parents)
        fields = (*fields[:count], items, *fields[count:])
    model = None
    if kind is not Kind.BATCH_DELETE and single.response_model is not None:
        item: Any = single.response_model
        model = response(f"{stem}Response", items=(builtins.list[item], ...))
    described = owner.describer.model(model) if model else None
    verb, _, rest = name.partition("_")
    method = "GET" if kind is Kind.BATCH_GET else "POST"
    body = None if kind is Kind.BATCH_GET else "*"
    path = f"{owner.path}:{verb}{rest.capitalize()}"
    where = place_of(function)
    classes = options.permission_classes
    permissions = single.permissions if classes is None else permissions_of(classes, where=where)
    return replace(
        single,
        name=name,
        operation=f"{owner.plural}.{name}",
        kind=kind,
        function_name=name,
        place=where,
        is_detail=False,
        is_async=read_signature(function, where=where).is_async,
        bindings=(HttpBinding(method=method, path=path, body=body),) if single.bindings else (),
        rpc_name=stem if single.rpc_name else None,
        request=request.fill(fields),
        parameters=parameters,
        body=None if by_key else _body(f"{stem}Body", single),
        body_field=None,
        response=described,
        response_model=model,
        answers=answers_of(described, model),
        read_masks=None,
        expansions=expansions,
        wrap=Wrap.EMPTY if model is None else Wrap.ITEMS,
        permissions=permissions,
        keyword_of_body=None,
        keyword_of_id=None,
        keywords={_KEYS: _KEYS} if by_key else {},
        reserved=frozenset(reserved_fields(kind, owner.store)),
        single=single,
        summary=(function.__doc__ or "").partition("\n")[0],
        description=function.__doc__ or "",
    )


def _keys(single: ActionSpec) -> dict[str, Any]:
    key: Any = single.parameters.model_fields["id"].annotation if single.parameters else Any
    keys: Any = Annotated[builtins.list[key], MinLen(1), MaxLen(MAX_BATCH)]
    return {_KEYS: (keys, Field(description="The keys of the items."))}


def _body(name: str, single: ActionSpec) -> type[BaseModel]:
    """Return the model that tells of a batch's body; `BatchValidator` does what it says."""
    fields: dict[str, Any] = {}
    for field, info in single.parameters.model_fields.items() if single.parameters else ():
        if field not in _OF_THE_BATCH and (info.alias or field) not in single.parents:
            fields[field] = (info.annotation, info)
    fields[str(single.body_field)] = (single.body, ...)
    config = ConfigDict(extra="forbid")
    item: Any = create_model(
        f"{single.request.name.removesuffix('Request')}Item", __config__=config, **fields
    )
    items: Any = Annotated[builtins.list[item], MinLen(1), MaxLen(MAX_BATCH)]
    made: Any = create_model(name, __config__=config, requests=(items, ...))
    model: type[BaseModel] = made
    return model


def validator_of(spec: ActionSpec, *, max_depth: int = MAX_DEPTH) -> Validator | BatchValidator:
    """Return what validates the arguments of an action."""
    if spec.single is not None and spec.kind in (Kind.BATCH_CREATE, Kind.BATCH_UPDATE):
        return BatchValidator(spec, spec.single, max_depth=max_depth)
    return Validator(spec, max_depth=max_depth)


class BatchValidator:
    """Validates the arguments of a batch of creates or updates, each as the single one does."""

    def __init__(self, spec: ActionSpec, single: ActionSpec, *, max_depth: int) -> None:
        self._kind = spec.kind
        self._own = Validator(replace(spec, body=None), max_depth=max_depth)
        self._single_spec = single
        self._single = Validator(single, max_depth=max_depth)
        self._max_depth = max_depth

    def read(self, arguments: Mapping[str, Any]) -> tuple[BaseModel | None, dict[str, Any]]:
        """Return the validated parameters, and the keyword arguments of the action.

        Raises `ValidationFailed` with the fields that are wrong, as in `requests[2].username`.
        """
        errors: builtins.list[FieldError] = []
        check_depth(arguments, self._max_depth)
        own = {name: value for name, value in arguments.items() if name != _ITEMS}
        parameters, _ = self._own.collect(own, errors)
        parents = parent_keys(self._single_spec.parents, parameters)
        found = self._items(arguments.get(_ITEMS), parents, errors)
        if errors:
            raise ValidationFailed(field_errors=errors[:MAX_ERRORS])
        if self._kind is Kind.BATCH_CREATE:
            return parameters, {"items": [change.values for change in found]}
        return parameters, {"changes": found}

    def _items(
        self, sent: Any, parents: Mapping[str, Any], errors: builtins.list[FieldError]
    ) -> builtins.list[Change]:
        if not isinstance(sent, list | tuple) or not sent:
            text = f"is a list of 1 to {MAX_BATCH} requests"
            errors.append(FieldError(field=_ITEMS, reason="REQUIRED", description=text))
            return []
        if len(sent) > MAX_BATCH:
            text = f"has {len(sent)} requests; {MAX_BATCH} are possible"
            errors.append(FieldError(field=_ITEMS, reason="TOO_LONG", description=text))
            return []
        found: builtins.list[Change] = []
        keys: set[Any] = set()
        for number, item in enumerate(sent):
            own: builtins.list[FieldError] = []
            change = self._item(item, parents, own)
            if change is not None and self._kind is Kind.BATCH_UPDATE and change.key in keys:
                text = "is the key of another request of this batch"
                own.append(FieldError(field="id", reason="DUPLICATE", description=text))
            if change is not None:
                keys.add(change.key)
                found.append(change)
            errors += [_placed(error, number) for error in own]
            if len(errors) >= MAX_ERRORS:
                break
        return found

    def _item(
        self, sent: Any, parents: Mapping[str, Any], errors: builtins.list[FieldError]
    ) -> Change | None:
        if not isinstance(sent, Mapping):
            errors.append(
                FieldError(field="", reason="OBJECT_TYPE", description="must be an object")
            )
            return None
        for name in _OF_THE_BATCH:
            if sent.get(name):
                text = "belongs to the batch, not to one of its requests"
                errors.append(FieldError(field=name, reason="UNKNOWN_FIELD", description=text))
        spec = self._single_spec
        parameters, keywords = self._single.collect({**parents, **sent}, errors)
        for name, key in parent_keys(spec.parents, parameters).items():
            if key != parents.get(name):
                text = "is not that of the batch"
                errors.append(FieldError(field=name, reason="CONTRADICTION", description=text))
        if errors:
            return None
        return Change(
            key=keywords.get(spec.keyword_of_id or ""),
            values=keywords[str(spec.keyword_of_body)],
            etag=getattr(parameters, "etag", ""),
        )


def _placed(error: FieldError, number: int) -> FieldError:
    field = f"{_ITEMS}[{number}]"
    return replace(error, field=f"{field}.{error.field}" if error.field else field)
