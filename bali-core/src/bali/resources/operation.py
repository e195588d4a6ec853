"""From one method of a resource to its specification."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from types import NoneType
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ConfigDict, RootModel, create_model
from pydantic import Field as PydanticField

from bali.errors import ConfigurationError
from bali.resources.action import ActionOptions, place_of
from bali.resources.bindings import custom_bindings, is_query, standard_binding
from bali.resources.etags import Etags
from bali.resources.expanding import Expansions
from bali.resources.filterable import filterable_fields, refuse_input_only
from bali.resources.longrunning import long_running
from bali.resources.messages import is_model, list_request, without_none
from bali.resources.naming import camel
from bali.resources.nesting import parent_fields
from bali.resources.owner import Owner
from bali.resources.permissions import permissions_of
from bali.resources.read_masks import READ_MASK, ReadMasks, read_masks_of
from bali.resources.requests import (
    ListRequest,
    input_model,
    output_only_names,
    request_field,
    schema_of_input,
    wire_names,
)
from bali.resources.reserved import reserved_fields
from bali.resources.result_shape import ResultShape, schema_for
from bali.resources.signature import MISSING, Argument, Signature, read_signature
from bali.resources.spec import ActionSpec, HttpBinding, Kind, Wrap
from bali.resources.store import ContractStore, Page
from bali.resources.update_masks import UPDATE_MASK, update_mask
from bali.schemas import EnumNode, Field, Record, Scalar
from bali.schemas.answers import answers_of
from bali.schemas.behaviour import input_only_attributes

__all__ = ["action_spec"]

_IDENTIFIER = re.compile(r"[A-Za-z]\w*", re.ASCII)


def action_spec(
    owner: Owner, name: str, kind: Kind, function: Any, options: ActionOptions
) -> ActionSpec:
    """Return the specification of one method.

    Raises `ConfigurationError`, naming the method and its line, for what cannot be served.
    """
    return _ActionReader(owner, name, kind, function, options).read()


class _ActionReader:
    """Reads one method."""

    def __init__(
        self, owner: Owner, name: str, kind: Kind, function: Any, options: ActionOptions
    ) -> None:
        self.owner = owner
        self.name = name
        self.kind = kind
        self.where = place_of(function)
        self.options = options
        self.function = function
        self.signature: Signature = read_signature(function, where=self.where)
        self.is_detail = (
            options.detail if kind is Kind.CUSTOM else kind not in (Kind.LIST, Kind.CREATE)
        )
        self.rpc_name = self._rpc_name()
        self.message_stem = self.rpc_name
        self.result = ResultShape(
            owner=owner,
            kind=kind,
            name=name,
            where=self.where,
            stem=self.message_stem,
            signature=self.signature,
            is_detail=self.is_detail,
        )

    def read(self) -> ActionSpec:
        self._check_key()
        if self.kind is not Kind.CUSTOM and self.signature.is_streaming:
            raise ConfigurationError(
                f"{self.where}: {self.name} returns one answer and cannot be a stream; write an "
                "action of another name"
            )
        wrap, response_model = self.result.read()
        described = self.owner.describer.model(response_model) if response_model else None
        masks = self._read_masks(described, wrap)
        parameters = self._parameters(masks)
        body, body_field = self._body()
        request = self._request(parameters, body, body_field)
        bindings = self._bindings(request, body_field)
        permission_classes, declared_at = self.options.permission_classes, self.where
        if permission_classes is None:
            permission_classes = self.owner.resource.permission_classes
            declared_at = self.owner.place
        doc = inspect.getdoc(self.function) or ""
        spec = ActionSpec(
            name=self.name,
            operation=f"{self.owner.plural}.{self.name}",
            kind=self.kind,
            resource=self.owner.resource,
            function_name=self.name,
            place=self.where,
            is_detail=self.is_detail,
            is_async=self.signature.is_async,
            is_streaming=self.signature.is_streaming,
            bindings=bindings,
            rpc_name=None if self.options.http_only else self.rpc_name,
            request=request,
            parameters=parameters,
            body=body,
            body_field=body_field,
            response=described,
            response_model=response_model,
            wrap=wrap,
            permissions=permissions_of(permission_classes, where=declared_at),
            keyword_of_body=self.signature.body.name if self.signature.body else None,
            keyword_of_id=self.signature.key.name if self.signature.key else None,
            keywords={argument.name: argument.name for argument in self.signature.scalars},
            reserved=frozenset(reserved_fields(self.kind, self.owner.store)),
            parents=self.owner.parent_names,
            etags=self._etags(),
            answers=answers_of(described, response_model),
            read_masks=masks,
            expansions=self._expansions(),
            summary=doc.partition("\n")[0],
            description=doc,
            tags=self.options.tags or (self.owner.plural,),
        )
        return (
            long_running(spec, self.owner.describer, self.message_stem)
            if self.options.lro
            else spec
        )

    def _bindings(self, request: Record, body_field: str | None) -> tuple[HttpBinding, ...]:
        path = self.owner.path
        if self.options.rpc_only:
            return ()
        if self.kind is Kind.CUSTOM:
            base = f"{path}/{{id}}" if self.is_detail else path
            return custom_bindings(self.name, self.options, base, request, where=self.where)
        is_empty = self.result.returns() is None
        return (standard_binding(self.kind, path, body_field, is_empty=is_empty),)

    def _etags(self) -> Etags | None:
        store, schema = self.owner.store, self.owner.schema
        if self.kind in (Kind.CUSTOM, Kind.LIST) or not isinstance(store, ContractStore):
            return None
        if schema is None:
            return None
        record = self.owner.describer.model(schema)
        return Etags(schema, record, version=store.version_name)

    # -- names ---------------------------------------------------------------------------------

    def _rpc_name(self) -> str:
        if self.options.rpc_name is not None:
            if not _IDENTIFIER.fullmatch(self.options.rpc_name):
                raise ConfigurationError(
                    f"{self.where}: rpc_name {self.options.rpc_name!r} is not an identifier; "
                    "write it like `MoveParcel`"
                )
            return self.options.rpc_name
        own = camel(self.name)
        if self.kind is Kind.CUSTOM:
            noun = camel(self.owner.singular if self.is_detail else self.owner.plural)
            return own if own.endswith(noun) else f"{own}{noun}"
        noun = camel(self.owner.plural if self.kind is Kind.LIST else self.owner.singular)
        return f"{own}{noun}"

    # -- request -------------------------------------------------------------------------------

    def _check_key(self) -> None:
        key = self.signature.key
        if self.is_detail and key is None:
            raise ConfigurationError(
                f"{self.where}: an action on one item (detail=True) takes its key; add the "
                "parameter `pk: int`"
            )
        if key is not None and not self.is_detail:
            raise ConfigurationError(
                f"{self.where}: `{key.name}` is the key of one item; declare the action with "
                "detail=True, or rename the parameter"
            )
        if self.kind is not Kind.CUSTOM and self.signature.scalars:
            raise ConfigurationError(
                f"{self.where}: {self.name} takes no parameter {self.signature.scalars[0].name!r}; "
                "a standard action takes `pk` and `schema_in` only: write an action of another name"
            )

    def _key_annotation(self, key: Argument) -> Any:
        annotation = without_none(key.annotation)
        if annotation in (MISSING, Any, NoneType):
            if self.owner.store is not None:
                return self.owner.store.key_type
            annotation = self._key_of_schema(key)
        node = self.owner.describer.annotation(annotation, where=f"{self.where}: {key.name}")
        if not isinstance(node.node, Scalar | EnumNode):
            raise ConfigurationError(
                f"{self.where}: {key.name!r} is {annotation!r}, which no path can hold; a key "
                "is a single value, such as int, str or UUID"
            )
        return annotation

    def _key_of_schema(self, key: Argument) -> Any:
        schema = self.owner.schema
        field = schema.model_fields.get("id") if schema is not None else None
        if field is None:
            raise ConfigurationError(
                f"{self.where}: parameter {key.name!r} has no type; annotate it, as in `pk: int`"
            )
        return without_none(field.annotation)

    def _read_masks(self, response: Record | None, wrap: Wrap) -> ReadMasks | None:
        if self.kind not in (Kind.GET, Kind.LIST):
            return None
        if self.kind is Kind.LIST and READ_MASK in wire_names(self._list_request()):
            return None  # the author has a use for the name
        return read_masks_of(response, is_wrapped=wrap is not Wrap.NONE)

    def _expansions(self) -> Expansions | None:
        """Return what callers may have expanded: in items of the resource's own schema."""
        if self.kind not in (Kind.GET, Kind.LIST):
            return None
        returns = self.result.returns()
        item = get_args(returns)[0] if get_origin(returns) in (Page, list) else returns
        return self.owner.expansions if item is self.owner.schema else None

    def _parameters(self, masks: ReadMasks | None) -> type[BaseModel] | None:
        masked = masks.field() if masks is not None else {}
        expansions = self._expansions()
        if expansions is not None:
            masked |= expansions.field()
        if self.kind is Kind.LIST:
            base = self._list_request()
            if not masked:
                return base
            return create_model(base.__name__, __base__=base, __module__=base.__module__, **masked)
        fields = parent_fields(self.owner.resource)
        if self.signature.key is not None:
            fields["id"] = (self._key_annotation(self.signature.key), PydanticField())
        for argument in self.signature.scalars:
            where = f"{self.where}: {argument.name}"
            if argument.name in self.owner.parent_names:
                self._check_parent(argument)
                continue
            self.owner.describer.annotation(argument.annotation, where=where)
            options = {} if argument.default is MISSING else {"default": argument.default}
            fields |= request_field(argument.name, argument.annotation, **options)
        if self.kind is Kind.UPDATE:
            fields[UPDATE_MASK] = (
                update_mask() | None,
                PydanticField(
                    default=None,
                    description="The fields to change; those that are present when absent.",
                ),
            )
        fields |= reserved_fields(self.kind, self.owner.store)
        fields |= masked
        if not fields:
            return None
        return create_model(
            f"{self.message_stem}Parameters",
            __config__=ConfigDict(extra="forbid"),
            **fields,
        )

    def _check_parent(self, argument: Argument) -> None:
        """Refuse a parameter for the key of a parent that is of another type."""
        for parent in self.owner.parents:
            if parent.name == argument.name and argument.annotation != parent.key_type:
                raise ConfigurationError(
                    f"{self.where}: {argument.name!r} is the key of the parent, of the type "
                    f"{parent.key_type!r}; annotate it so, or rename the parameter"
                )

    def _list_request(self) -> type[BaseModel]:
        body = self.signature.body
        base: type[BaseModel] = ListRequest
        if body is not None and body.annotation not in (MISSING, Any):
            base = self._model_of(body)
        if not issubclass(base, ListRequest):
            fields: Any = parent_fields(self.owner.resource)
            return create_model(base.__name__, __base__=base, **fields) if fields else base
        resource, owner = self.owner.resource, self.owner
        filters: Mapping[str, Any] = {}
        if resource.filters:
            if owner.store is None:
                raise ConfigurationError(
                    f"{owner.place}: filters need a model; set `model`, or give list a `schema_in` "
                    "with fields of your own"
                )
            names = _filter_names(resource.filters)
            where = f"{owner.place}: filters"
            filters = owner.store.filter_types(names, where=where)
            refuse_input_only(filters, self.result.listed(), where=where)
        model = list_request(
            f"{self.message_stem}Request",
            base,
            filters,
            page_size=resource.page_size,
            reserved=self._fields_beside() if self.kind is Kind.LIST else {},
            where=owner.place,
        )
        return self._restricted(model)

    def _fields_beside(self) -> dict[str, Any]:
        """Return what every list of the resource takes."""
        return {
            **parent_fields(self.owner.resource),
            **reserved_fields(Kind.LIST, self.owner.store),
        }

    def _restricted(self, base: type[ListRequest]) -> type[ListRequest]:
        """Let a list be sorted and filtered by what its caller sees, and by nothing else."""
        owner, schema = self.owner, self.result.listed()
        model: type[ListRequest] = type(
            base.__name__, (base,), {"__module__": base.__module__, "__doc__": base.__doc__}
        )
        if schema is not None:
            model.sortable_names = frozenset(schema.model_fields) - input_only_attributes(schema)
        attributes = wire_names(base)
        model.parent_attributes = {
            name: attributes[name] for name in owner.parent_names if name in attributes
        }
        model.filter_fields = filterable_fields(
            owner.resource, schema, owner.store, describer=owner.describer, where=owner.place
        )
        return model

    def _body(self) -> tuple[type[BaseModel] | None, str | None]:
        argument = self.signature.body
        if self.kind is Kind.LIST or argument is None:
            return None, None
        is_open = argument.annotation in (MISSING, Any)
        if self.kind in (Kind.CREATE, Kind.UPDATE):
            model = self._schema_for(argument) if is_open else self._model_of(argument)
            return self._input(model), self.owner.singular
        if not is_open:
            model = self._model_of(argument)
            if issubclass(model, ListRequest):
                model = self._restricted(model)
            if output_only_names(model):
                return self._input(model, is_partial=False), None
            return model, None
        if is_query(self.options):
            return self._list_request(), None
        return self._input(self._schema_for(argument), is_partial=True), None

    def _schema_for(self, argument: Argument) -> type[BaseModel]:
        return schema_for(self.owner, argument.name, where=self.where)

    def _model_of(self, argument: Argument) -> type[BaseModel]:
        annotation = argument.annotation
        if is_model(annotation) and not issubclass(annotation, RootModel):
            return annotation
        raise ConfigurationError(
            f"{self.where}: {argument.name} is {annotation!r}; a body is a pydantic model with "
            "named fields"
        )

    def _input(self, model: type[BaseModel], *, is_partial: bool | None = None) -> type[BaseModel]:
        partial = self.kind is Kind.UPDATE if is_partial is None else is_partial
        given = self.owner.given & model.model_fields.keys()
        name = f"{self.message_stem}Input"
        return input_model(model, name, is_partial=partial, given=given)

    def _request(
        self,
        parameters: type[BaseModel] | None,
        body: type[BaseModel] | None,
        body_field: str | None,
    ) -> Record:
        fields: list[Field] = []
        describer = self.owner.describer
        if parameters is not None:
            fields.extend(describer.model(parameters).fields)
        if body is not None and body_field is not None:
            position = 1 if self.is_detail else 0
            schema = describer.model(schema_of_input(body))
            fields.insert(position + len(self.owner.parents), Field(name=body_field, node=schema))
        elif body is not None:
            argument = self.signature.body
            is_open = argument is not None and argument.annotation in (MISSING, Any)
            taken = {field.wire_name for field in fields}
            for field in describer.model(body).fields:
                if field.is_output_only:
                    continue
                if field.wire_name in taken and is_open:
                    continue
                if field.wire_name in taken:
                    raise ConfigurationError(
                        f"{self.where}: field {field.wire_name!r} of {body.__name__} has the name "
                        "of another parameter; rename one of them"
                    )
                fields.append(field)
        fields.sort(key=lambda field: field.wire_name not in self.owner.parent_names)
        record = Record(
            name=f"{self.message_stem}Request", description=f"Request of {self.message_stem}."
        )
        return record.fill(tuple(fields))


def _filter_names(declared: Any) -> Any:
    """Return the names in a list of names and mappings; what is no list is left to be refused."""
    if isinstance(declared, str | Mapping) or not isinstance(declared, Iterable):
        return declared
    return [name for item in declared for name in (item if isinstance(item, Mapping) else (item,))]
