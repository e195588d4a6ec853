"""From a resource class to the table of its operations.

Everything that could go wrong in a call because of how the class is written is refused here, at
start, with the class, the method and the line named.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, get_args, get_origin

from annotated_types import MaxLen
from pydantic import BaseModel, ConfigDict, create_model
from pydantic import Field as PydanticField

from bali.errors import ConfigurationError
from bali.resources.action import ActionOptions, action_options, place_of
from bali.resources.naming import camel, kebab
from bali.resources.permissions import permissions_of
from bali.resources.requests import (
    MAX_FILTER_ITEMS,
    MAX_FILTER_LENGTH,
    MAX_PAGE_SIZE,
    FieldMask,
    ListRequest,
    input_model,
)
from bali.resources.resource import STANDARD_ACTIONS, Resource
from bali.resources.signature import MISSING, Argument, Signature, read_signature
from bali.resources.spec import ActionSpec, HttpBinding, Kind, ResourceSpec, Wrap
from bali.resources.store import Page
from bali.schemas import Describer, Field, ListNode, MapNode, Record, Scalar

__all__ = ["Collector"]

_QUERY_METHODS = ("GET", "DELETE")


class Collector:
    """Collects resource classes; one collector per app, so that names clash where they must."""

    def __init__(self) -> None:
        self.describer = Describer()
        self.resources: list[ResourceSpec] = []

    def collect(self, resource: type[Resource]) -> ResourceSpec:
        """Return the specs of one resource class.

        Raises `ConfigurationError` for whatever cannot be served on both protocols as written, and
        for a name, path or method that another collected resource has already.
        """
        if not (inspect.isclass(resource) and issubclass(resource, Resource)):
            raise ConfigurationError(f"{resource!r} is not a Resource class; register the class")
        spec = _ResourceReader(resource, self.describer).read()
        _refuse_clashes([*self.resources, spec])
        self.resources.append(spec)
        return spec


class _ResourceReader:
    """Reads one class."""

    def __init__(self, resource: type[Resource], describer: Describer) -> None:
        self.resource = resource
        self.describer = describer
        self.place = place_of(resource)
        self.store = resource.find_store()
        self.singular = resource.singular_name()
        self.plural = resource.plural_name()
        self.path = resource.endpoint()
        self.schema = resource.schema or (self.store.schema() if self.store else None)

    def read(self) -> ResourceSpec:
        actions = tuple(self._action(name, function) for name, function in self._functions())
        if not actions:
            raise ConfigurationError(
                f"{self.place} offers nothing: set `model` or `schema`, or mark a method with "
                "@action()"
            )
        return ResourceSpec(
            resource=self.resource,
            singular=self.singular,
            plural=self.plural,
            path=self.path,
            place=self.place,
            record=self.describer.model(self.schema) if self.schema else None,
            description=inspect.getdoc(self.resource) or "",
            actions=actions,
        )

    def _functions(self) -> Iterator[tuple[str, Any]]:
        offered = self.resource.actions
        for name in offered or ():
            if name not in STANDARD_ACTIONS:
                raise ConfigurationError(
                    f"{self.place}: actions names {name!r}; it limits the standard actions "
                    f"{', '.join(STANDARD_ACTIONS)}"
                )
        for name in STANDARD_ACTIONS:
            function = inspect.getattr_static(self.resource, name)
            is_own = function is not inspect.getattr_static(Resource, name)
            if (is_own or self.store is not None) and (offered is None or name in offered):
                yield name, function
        seen = set(STANDARD_ACTIONS)
        for cls in reversed(self.resource.__mro__):
            for name in vars(cls):
                function = inspect.getattr_static(self.resource, name)
                if name not in seen and action_options(function):
                    seen.add(name)
                    yield name, function

    def _action(self, name: str, function: Any) -> ActionSpec:
        kind = Kind(name) if name in STANDARD_ACTIONS else Kind.CUSTOM
        options = action_options(function) or action_options(getattr(Resource, name, None))
        return _ActionReader(self, name, kind, function, options or ActionOptions()).read()


class _ActionReader:
    """Reads one method."""

    def __init__(
        self, owner: _ResourceReader, name: str, kind: Kind, function: Any, options: ActionOptions
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
        self.message_stem = self.rpc_name or camel(f"{name}_{owner.singular}")

    def read(self) -> ActionSpec:
        self._check_key()
        parameters = self._parameters()
        body, body_field = self._body()
        request = self._request(parameters, body, body_field)
        wrap, response_model = self._response()
        response = self.owner.describer.model(response_model) if response_model else None
        bindings = self._bindings(request, body, body_field)
        permission_classes = self.options.permission_classes
        if permission_classes is None:
            permission_classes = self.owner.resource.permission_classes
        doc = inspect.getdoc(self.function) or ""
        return ActionSpec(
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
            response=response,
            response_model=response_model,
            wrap=wrap,
            permissions=permissions_of(permission_classes, where=self.where),
            keyword_of_body=self.signature.body.name if self.signature.body else None,
            keyword_of_id=self.signature.key.name if self.signature.key else None,
            keywords={argument.name: argument.name for argument in self.signature.scalars},
            summary=doc.partition("\n")[0],
            description=doc,
            tags=self.options.tags or (self.owner.plural,),
        )

    # -- names ---------------------------------------------------------------------------------

    def _rpc_name(self) -> str | None:
        if self.options.rpc_name is not None:
            if not self.options.rpc_name.isidentifier():
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
        if key.annotation not in (MISSING, Any, None):
            return key.annotation
        if self.owner.store is not None:
            return self.owner.store.key_type
        raise ConfigurationError(
            f"{self.where}: parameter {key.name!r} has no type; annotate it, as in `pk: int`"
        )

    def _parameters(self) -> type[BaseModel] | None:
        if self.kind is Kind.LIST:
            return self._list_parameters()
        fields: dict[str, Any] = {}
        if self.signature.key is not None:
            fields["id"] = (self._key_annotation(self.signature.key), PydanticField())
        for argument in self.signature.scalars:
            default = ... if argument.default is MISSING else argument.default
            fields[argument.name] = (argument.annotation, default)
        if self.kind is Kind.UPDATE:
            fields["update_mask"] = (
                FieldMask | None,
                PydanticField(
                    default=None,
                    description="The fields to change; those that are present when absent.",
                ),
            )
        if not fields:
            return None
        return create_model(
            f"{self.message_stem}Parameters",
            __config__=ConfigDict(extra="forbid"),
            **fields,
        )

    def _list_parameters(self) -> type[BaseModel]:
        where = self.owner.place
        resource = self.owner.resource
        body = self.signature.body
        base: type[BaseModel] = ListRequest
        if body is not None and body.annotation not in (MISSING, Any):
            base = body.annotation
        if not issubclass(base, ListRequest):
            return base
        filters: dict[str, Any] = {}
        if resource.filters:
            if self.owner.store is None:
                raise ConfigurationError(
                    f"{where}: filters need a model; set `model`, or give list a `schema_in` with "
                    "fields of your own"
                )
            types = self.owner.store.filter_types(resource.filters, where=f"{where}: filters")
            for name, annotation in types.items():
                if name in base.model_fields:
                    raise ConfigurationError(
                        f"{where}: filter {name!r} has the name of a field that every list has"
                    )
                filters[name] = (_bounded(annotation) | None, PydanticField(default=None))
        model = create_model(
            f"{self.message_stem}Request", __base__=base, __module__=base.__module__, **filters
        )
        page_size = resource.page_size
        if page_size is not None:
            if not 1 <= page_size <= MAX_PAGE_SIZE:
                raise ConfigurationError(
                    f"{where}: page_size {page_size} is not between 1 and {MAX_PAGE_SIZE}"
                )
            model.default_page_size = page_size
        return model

    def _body(self) -> tuple[type[BaseModel] | None, str | None]:
        argument = self.signature.body
        if self.kind is Kind.LIST or argument is None:
            return None, None
        annotation = argument.annotation
        is_open = annotation in (MISSING, Any)
        if not is_open and not (inspect.isclass(annotation) and issubclass(annotation, BaseModel)):
            raise ConfigurationError(
                f"{self.where}: {argument.name} is {annotation!r}; a body is a pydantic model"
            )
        if self.kind in (Kind.CREATE, Kind.UPDATE):
            model = self._schema_for(argument.name) if is_open else annotation
            return self._input(model), self.owner.singular
        if not is_open:
            return annotation, None
        if self._is_query():
            return self._list_parameters(), None
        return self._input(self._schema_for(argument.name), is_partial=True), None

    def _input(self, model: type[BaseModel], *, is_partial: bool | None = None) -> type[BaseModel]:
        partial = self.kind is Kind.UPDATE if is_partial is None else is_partial
        return input_model(model, f"{self.message_stem}Input", is_partial=partial)

    def _schema_for(self, what: str) -> type[BaseModel]:
        if self.owner.schema is None:
            raise ConfigurationError(
                f"{self.where}: {what} has no type and {self.owner.resource.__name__} no schema to "
                "take it from; annotate it with a pydantic model"
            )
        return self.owner.schema

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
            argument = self.signature.body
            shape = argument.annotation if argument else MISSING
            if shape in (MISSING, Any):
                shape = self._schema_for("schema_in")
            position = 1 if self.is_detail else 0
            fields.insert(position, Field(name=body_field, node=describer.model(shape)))
        elif body is not None:
            taken = {field.wire_name for field in fields}
            for field in describer.model(body).fields:
                if field.wire_name in taken:
                    raise ConfigurationError(
                        f"{self.where}: field {field.wire_name!r} of {body.__name__} has the name "
                        "of another parameter; rename one of them"
                    )
                fields.append(field)
        record = Record(
            name=f"{self.message_stem}Request", description=f"Request of {self.message_stem}."
        )
        return record.fill(tuple(fields))

    # -- response ------------------------------------------------------------------------------

    def _response(self) -> tuple[Wrap, type[BaseModel] | None]:
        returns = self._returns()
        if returns is None:
            return Wrap.EMPTY, None
        name = f"{self.message_stem}Response"
        if get_origin(returns) is Page:
            return Wrap.PAGE, _page_model(name, get_args(returns)[0])
        if inspect.isclass(returns) and issubclass(returns, BaseModel):
            return Wrap.NONE, returns
        node = self.owner.describer.annotation(returns, where=f"{self.where}: result")
        if isinstance(node.node, ListNode) and not node.is_nullable:
            return Wrap.ITEMS, _response_model(name, items=(returns, ...))
        if isinstance(node.node, Record) and node.is_nullable:
            return Wrap.RESULT, _response_model(name, result=(returns, None))
        if isinstance(node.node, Scalar | MapNode) or node.is_nullable:
            return Wrap.RESULT, _response_model(name, result=(returns, ...))
        return Wrap.RESULT, _response_model(name, result=(returns, ...))

    def _returns(self) -> Any:
        returns = self.signature.returns
        if self.kind is Kind.DELETE:
            return None if returns in (MISSING, Any, None, type(None)) else returns
        if self.kind is Kind.LIST:
            item = self._item_of_list(returns)
            return Page[item]  # type: ignore[valid-type]  # a type made at run time
        if returns in (None, type(None)):
            return None
        if returns not in (MISSING, Any):
            return returns
        if self.owner.schema is None:
            raise ConfigurationError(
                f"{self.where}: the result has no type and {self.owner.resource.__name__} no "
                "schema to take it from; annotate the method, as in `-> UserSchema`"
            )
        is_one = self.kind is not Kind.CUSTOM or self.is_detail or self.signature.is_streaming
        return self.owner.schema if is_one else list[self.owner.schema]  # type: ignore[name-defined]  # a type made at run time

    def _item_of_list(self, returns: Any) -> Any:
        arguments = get_args(returns)
        if arguments and arguments[0] is not Any:
            return arguments[0]
        return self._schema_for("the result")

    # -- HTTP ----------------------------------------------------------------------------------

    def _is_query(self) -> bool:
        return all(method in _QUERY_METHODS for method in self.options.methods)

    def _bindings(
        self, request: Record, body: type[BaseModel] | None, body_field: str | None
    ) -> tuple[HttpBinding, ...]:
        if self.options.rpc_only:
            return ()
        item = f"{self.owner.path}/{{id}}"
        if self.kind is Kind.LIST:
            return (HttpBinding(method="GET", path=self.owner.path, body=None),)
        if self.kind is Kind.CREATE:
            return (
                HttpBinding(method="POST", path=self.owner.path, body=body_field, status=201),
            )
        if self.kind is Kind.GET:
            return (HttpBinding(method="GET", path=item, body=None),)
        if self.kind is Kind.UPDATE:
            return (HttpBinding(method="PATCH", path=item, body=body_field),)
        if self.kind is Kind.DELETE:
            status = 204 if self._returns() is None else 200
            return (HttpBinding(method="DELETE", path=item, body=None, status=status),)
        base = item if self.is_detail else self.owner.path
        path = f"{base}/{self.options.path or kebab(self.name)}"
        return tuple(self._custom_binding(method, path, request) for method in self.options.methods)

    def _custom_binding(self, method: str, path: str, request: Record) -> HttpBinding:
        if method not in _QUERY_METHODS:
            return HttpBinding(method=method, path=path, body="*")
        for field in request.fields:
            node = field.node.item if isinstance(field.node, ListNode) else field.node
            if isinstance(node, Record | ListNode | MapNode) or type(node).__name__ == "UnionNode":
                raise ConfigurationError(
                    f"{self.where}: field {field.wire_name!r} cannot be written in a query string; "
                    "use methods=['post']"
                )
        return HttpBinding(method=method, path=path, body=None)


def _bounded(annotation: Any) -> Any:
    if annotation is str:
        return Annotated[str, MaxLen(MAX_FILTER_LENGTH)]
    if get_origin(annotation) is list:
        item = _bounded(get_args(annotation)[0])
        return Annotated[list[item], MaxLen(MAX_FILTER_ITEMS)]  # type: ignore[valid-type]  # made at run time
    return annotation


def _page_model(name: str, item: Any) -> type[BaseModel]:
    return _response_model(
        name,
        items=(list[item], ...),
        next_page_token=(
            str,
            PydanticField(default="", description='Continues the list; "" on the last page.'),
        ),
        total=(
            int | None,
            PydanticField(default=None, description="Items on all pages, when asked for."),
        ),
    )


def _response_model(name: str, **fields: Any) -> type[BaseModel]:
    return create_model(name, __config__=ConfigDict(from_attributes=True), **fields)


def _refuse_clashes(resources: Sequence[ResourceSpec]) -> None:
    _refuse_twice("resource name", ((item.singular, item.place) for item in resources))
    _refuse_twice("HTTP path", ((item.path, item.place) for item in resources))
    actions = [action for item in resources for action in item.actions]
    _refuse_twice(
        "gRPC method", ((action.rpc_name, action.place) for action in actions if action.rpc_name)
    )
    _refuse_twice(
        "HTTP route",
        (
            (f"{binding.method} {binding.path}", action.place)
            for action in actions
            for binding in action.bindings
        ),
    )


def _refuse_twice(what: str, named: Iterable[tuple[str, str]]) -> None:
    places: dict[str, str] = {}
    for name, place in named:
        if name in places:
            raise ConfigurationError(
                f"two declarations have the {what} {name!r}: {places[name]} and {place}; "
                "rename one of them"
            )
        places[name] = place
