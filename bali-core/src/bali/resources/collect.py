"""From a resource class to the table of its operations.

Everything that could go wrong in a call because of how the class is written is refused here, at
start, with the class, the method and the line named.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeGuard

from pydantic import BaseModel

from bali.errors import ConfigurationError
from bali.resources.action import ActionOptions, options_in, place_of
from bali.resources.batches import BATCHES, batch_spec
from bali.resources.expanding import Expansions, item_schema
from bali.resources.nesting import nested_path, parents_of
from bali.resources.operation import action_spec
from bali.resources.owner import Owner
from bali.resources.resource import (
    EXTRA_ACTIONS,
    STANDARD_ACTIONS,
    ModelResource,
    Resource,
    has_own,
)
from bali.resources.spec import ActionSpec, Kind, ResourceSpec
from bali.resources.store import ContractStore
from bali.schemas import Describer

__all__ = ["Collector"]

#: Segments of unreserved characters (RFC 3986 section 2.3).
_PATH = re.compile(r"(/[\w.~-]+)+", re.ASCII)
_KEY = re.compile(r"{\w+}")
_IDENTIFIER = re.compile(r"[A-Za-z]\w*", re.ASCII)

#: What is refused when it is nearly spelled right: a rule that nobody reads protects nothing.
_SPELLED = (
    "permission_classes",
    "filters",
    "http_endpoint",
    "page_size",
    "batch",
    "visible_to",
    "parent",
    "parent_key",
    "expandable",
)
_NEARLY = 0.85


class Collector:
    """Collects resource classes; one collector per app, so that names clash where they must."""

    def __init__(self) -> None:
        self.describer = Describer()
        self.resources: list[ResourceSpec] = []

    def collect(
        self,
        resource: type[Resource],
        *,
        with_http: bool = True,
        with_rpc: bool = True,
        adapt: Callable[[ResourceSpec], ResourceSpec] | None = None,
    ) -> ResourceSpec:
        """Return the specs of one resource class, offered over HTTP, over RPC, or both.

        `adapt` changes them before they are compared with those of the others.

        Raises `ConfigurationError` for whatever cannot be served on both protocols as written, and
        for a name, path or method that another collected resource has already.
        """
        if not _is_resource(resource):
            raise ConfigurationError(f"{resource!r} is not a Resource class; register the class")
        if any(known.resource is resource for known in self.resources):
            raise ConfigurationError(f"{place_of(resource)} is registered twice; once is enough")
        spec = _limited(
            _ResourceReader(resource, self.describer).read(),
            with_http=with_http,
            with_rpc=with_rpc,
        )
        if adapt is not None:
            spec = adapt(spec)
        _refuse_clashes([*self.resources, spec])
        self.resources.append(spec)
        return spec


class _ResourceReader:
    """Reads one class."""

    def __init__(self, resource: type[Resource], describer: Describer) -> None:
        self.resource = resource
        store = resource.find_store()
        self.place = place_of(resource)
        self.store = store
        self.path = nested_path(resource)
        self.owner = Owner(
            resource=resource,
            place=self.place,
            describer=describer,
            store=store,
            schema=self._schema(describer),
            singular=resource.singular_name(),
            plural=resource.plural_name(),
            path=self.path,
            parents=parents_of(resource),
            expansions=Expansions(resource, describer) if resource.expandable else None,
        )

    def _schema(self, describer: Describer) -> type[BaseModel] | None:
        schema = item_schema(self.resource)
        own = getattr(schema, "__unexpanded__", None)
        if schema is not None and own is not None:
            describer.describe_as(own, schema)
        return schema

    def read(self) -> ResourceSpec:
        self._check()
        actions = [self._action(name, function) for name, function in self._functions()]
        actions += self._extra(actions)
        if not actions:
            raise ConfigurationError(
                f"{self.place} offers nothing: set `model` or `schema`, or mark a method with "
                "@action()"
            )
        has_ids = any("request_id" in action.reserved for action in actions)
        if has_ids and isinstance(self.store, ContractStore):
            self.store.repeats.prepare()
        schema = self.owner.schema
        return ResourceSpec(
            resource=self.resource,
            singular=self.owner.singular,
            plural=self.owner.plural,
            path=self.path,
            place=self.place,
            record=self.owner.describer.model(schema) if schema else None,
            description=inspect.getdoc(self.resource) or "",
            actions=tuple(actions),
        )

    def _extra(self, actions: Sequence[ActionSpec]) -> Iterator[ActionSpec]:
        """Yield what is offered besides: undelete where deleted items are kept, and batches."""
        singles = {action.name: action for action in actions if action.kind is not Kind.CUSTOM}
        if "delete" in singles and isinstance(self.store, ContractStore) and self.store.is_soft:
            undelete = self._extra_function("undelete")
            if undelete is not None:
                yield self._action("undelete", undelete)
        for name, kind in BATCHES.items() if self.resource.batch else ():
            function = self._extra_function(kind.value)
            if name in singles and function is not None:
                options = options_in(self.resource, kind.value) or ActionOptions()
                yield batch_spec(self.owner, kind, function, options, singles[name])

    def _extra_function(self, name: str) -> Any:
        return inspect.getattr_static(self.resource, name)

    def _check_spelling(self) -> None:
        for cls in self.resource.__mro__[: self.resource.__mro__.index(Resource)]:
            for name, value in vars(cls).items():
                if hasattr(Resource, name) or hasattr(ModelResource, name) or callable(value):
                    continue
                for meant in difflib.get_close_matches(name, _SPELLED, n=1, cutoff=_NEARLY):
                    raise ConfigurationError(
                        f"{place_of(cls)}: nothing reads {name!r}; write {meant!r}, or give what "
                        "you mean by it another name"
                    )

    def _check(self) -> None:
        self._check_spelling()
        schema: Any = self.resource.schema
        if schema is not None and not (inspect.isclass(schema) and issubclass(schema, BaseModel)):
            raise ConfigurationError(
                f"{self.place}: schema {schema!r} is no pydantic model; for a database model write "
                "`schema = model_to_schema(...)`, or set `model`"
            )
        model = self.resource.model
        if model is not None and self.store is None:
            raise ConfigurationError(
                f"{self.place}: model {model!r} is no database model; derive it from `db.Model` or "
                "`db.BaseModel`"
            )
        try:
            inspect.signature(self.resource.__init__).bind(None, None, None)
        except TypeError as error:
            raise ConfigurationError(
                f"{self.place}: every call makes an object of it with `(request, context)`, which "
                f"its __init__ does not take ({error})"
            ) from error
        self._check_contract()
        if issubclass(self.resource, ModelResource) and self.store is None:
            raise ConfigurationError(f"{self.place} has no model; set `model = ...`")
        for name in (self.owner.singular, self.owner.plural):
            if not _IDENTIFIER.fullmatch(name):
                raise ConfigurationError(
                    f"{self.place}: {name!r} is not an identifier; set `name` and `plural`"
                )
        endpoint = self.resource.endpoint()
        if not _PATH.fullmatch(endpoint):
            raise ConfigurationError(
                f"{self.place}: http_endpoint {endpoint!r} is not a URL path; write it like "
                "http_endpoint = 'users'"
            )

    def _check_contract(self) -> None:
        for wanted, name in (
            (self.resource.batch, "batch"),
            (self.resource.limits_sight(), "visible_to"),
        ):
            if wanted and not isinstance(self.store, ContractStore):
                raise ConfigurationError(
                    f"{self.place}: {name} needs a database model; set `model`, or `schema` to one "
                    "made by model_to_schema(...)"
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
            is_inherited = not has_own(self.resource, name)
            if offered is not None and name not in offered:
                continue
            if function is not None and not (is_inherited and self.store is None):
                yield name, function
            elif offered is not None:
                raise ConfigurationError(
                    f"{self.place}: actions names {name!r}, which nothing provides; set `model` or "
                    "write the method"
                )
        seen = {*STANDARD_ACTIONS, *self._extra_names()}
        for cls in reversed(self.resource.__mro__):
            for name in vars(cls):
                if name not in seen and options_in(self.resource, name):
                    seen.add(name)
                    yield name, inspect.getattr_static(self.resource, name)

    def _action(self, name: str, function: Any) -> ActionSpec:
        is_standard = name in STANDARD_ACTIONS or name in self._extra_names()
        kind = Kind(name) if is_standard else Kind.CUSTOM
        options = options_in(self.resource, name) or ActionOptions()
        return action_spec(self.owner, name, kind, function, options)

    def _extra_names(self) -> Iterable[str]:
        """Return the names of the extra actions that the class leaves as they are, or may change.

        One that is not offered may be the name of an action of its own.
        """
        is_soft = isinstance(self.store, ContractStore) and self.store.is_soft
        for name in EXTRA_ACTIONS:
            is_offered = is_soft if name == "undelete" else self.resource.batch
            if is_offered or not has_own(self.resource, name):
                yield name


def _is_resource(candidate: Any) -> TypeGuard[type[Resource]]:
    return inspect.isclass(candidate) and issubclass(candidate, Resource)


def _limited(spec: ResourceSpec, *, with_http: bool, with_rpc: bool) -> ResourceSpec:
    if with_http and with_rpc:
        return spec
    actions = tuple(
        replace(
            action,
            bindings=action.bindings if with_http else (),
            rpc_name=action.rpc_name if with_rpc else None,
        )
        for action in spec.actions
    )
    return replace(spec, actions=actions)


def _refuse_clashes(resources: Sequence[ResourceSpec]) -> None:
    _refuse_twice("resource name", ((item.singular, item.place) for item in resources))
    _refuse_twice("HTTP path", ((_shape(item.path), item.place) for item in resources))
    actions = [action for item in resources for action in item.actions]
    _refuse_twice(
        "gRPC method",
        (
            (action.rpc_name, action.place)
            for action in actions
            if action.rpc_name and action.rpc_service is None
        ),
    )
    _refuse_twice(
        "HTTP route",
        (
            (f"{binding.method} {_shape(binding.path)}", action.place)
            for action in actions
            for binding in action.bindings
        ),
    )


def _shape(path: str) -> str:
    """Return a path in which every key is written as that of an item."""
    return _KEY.sub("{id}", path)


def _refuse_twice(what: str, named: Iterable[tuple[str, str]]) -> None:
    places: dict[str, str] = {}
    for name, place in named:
        if name in places:
            raise ConfigurationError(
                f"two declarations have the {what} {name!r}: {places[name]} and {place}; "
                "rename one of them"
            )
        places[name] = place
