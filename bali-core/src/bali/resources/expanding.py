"""`expand` of get, list and batch get: items of other resources within those of an answer.

What may be expanded is declared (`expandable`), bounded in depth and number, and read with one
statement for each path, however many items there are. The schema of an item has a field for each
relation, which is absent from an answer that nobody asked to have it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, TypeAlias

from annotated_types import MaxLen
from pydantic import AfterValidator, BaseModel, Field, create_model
from pydantic_core import PydanticCustomError

from bali.errors import ConfigurationError
from bali.resources.action import place_of
from bali.resources.nesting import related_store
from bali.resources.requests import FieldMask
from bali.resources.store import ContractStore
from bali.resources.values import MAX_NAME_LENGTH
from bali.schemas import Describer
from bali.schemas.answers import answers_of
from bali.schemas.behaviour import EXPANDED, OUTPUT_ONLY

__all__ = ["EXPAND", "MAX_EXPAND_DEPTH", "MAX_EXPAND_PATHS", "Expansions", "item_schema"]

EXPAND = "expand"
#: How many relations may be in one another, and how many paths one call may have.
MAX_EXPAND_DEPTH = 3
MAX_EXPAND_PATHS = 10
_MAX_PATH_LENGTH = 256
_DESCRIPTION = "What to return of other resources within each item, as in `{}`."

#: Relations by name, each with those within it.
Tree: TypeAlias = dict[str, Any]

_schemas: dict[Any, type[BaseModel]] = {}
_numbers = itertools.count(1)


def item_schema(resource: type[Any]) -> type[BaseModel] | None:
    """Return the schema of the items of a resource, with a field for each relation.

    It is the resource's own schema when nothing may be expanded. Raises `ConfigurationError` for a
    relation that there is not.
    """
    if not resource.expandable:
        return own_schema(resource)
    if resource not in _schemas:
        _make_schemas(resource)
    return _schemas[resource]


def own_schema(resource: type[Any]) -> type[BaseModel] | None:
    """Return the schema of the items of a resource by themselves."""
    store = resource.find_store()
    found: type[BaseModel] | None = resource.schema or (store.schema() if store else None)
    return found


def _make_schemas(resource: type[Any]) -> None:
    """Make the schemas of a resource and of all that can be reached from it, at once."""
    new = [item for item in _reachable(resource) if item not in _schemas]
    names = {item: f"BaliItem{next(_numbers)}" for item in new}
    made: dict[str, Any] = {}
    for item in new:
        made[names[item]] = own_schema(item)
        if item.expandable:
            made[names[item]] = _schemas[item] = _with_relations(item, names)
    space = {**made, **{f"BaliKnown{id(item)}": _schemas[item] for item in _schemas}}
    for item in new:
        if item.expandable:
            _schemas[item].model_rebuild(force=True, _types_namespace=space)


def _with_relations(resource: type[Any], names: Mapping[Any, str]) -> type[BaseModel]:
    schema: Any = own_schema(resource)
    store: Any = resource.find_store()
    fields: dict[str, Any] = {}
    for name, related in resource.expandable.items():
        if name in schema.model_fields:
            raise ConfigurationError(
                f"{place_of(resource)}: expandable {name!r} is a field of {schema.__name__} already"
            )
        item = names.get(related) or f"BaliKnown{id(related)}"
        is_many = store.relation_to(
            name, related.find_store(), where=f"{place_of(resource)}: expandable"
        )
        extra = {OUTPUT_ONLY: True, EXPANDED: True}
        text = f"Only in an answer to a call with `{EXPAND}={name}`."
        options: dict[str, Any] = {"json_schema_extra": extra, "description": text}
        if is_many:
            fields[name] = (f"list[{item}]", Field(default_factory=list, **options))
        else:
            fields[name] = (f"{item} | None", Field(default=None, **options))
    made: type[BaseModel] = create_model(
        schema.__name__,
        __base__=schema,
        __module__=schema.__module__,
        __doc__=schema.__doc__,
        **fields,
    )
    made.__unexpanded__ = schema  # type: ignore[attr-defined]  # read by stores
    return made


def _reachable(resource: type[Any]) -> list[type[Any]]:
    found = [resource]
    for item in found:
        for name, related in _relations(item).items():
            if not isinstance(getattr(related, "find_store", lambda: None)(), ContractStore):
                raise ConfigurationError(
                    f"{place_of(item)}: expandable {name!r} is {related!r}; write a resource with "
                    "a database model"
                )
            if related not in found:
                found.append(related)
    return found


def _relations(resource: type[Any]) -> Mapping[str, Any]:
    declared: Any = resource.expandable
    if not isinstance(declared, Mapping):
        raise ConfigurationError(
            f"{place_of(resource)}: expandable is {declared!r}; write a dict of resources, as in "
            "{'user': UserResource}"
        )
    return declared


class Expansions:
    """What callers may have expanded in the items of one resource; built once, at start."""

    def __init__(self, resource: type[Any], describer: Describer) -> None:
        self._resource = resource
        self._readers = {item: _reader(item, describer) for item in _reachable(resource)}

    def field(self) -> dict[str, Any]:
        """Return the field of a request that holds the paths, as `create_model` takes it."""
        paths = Annotated[FieldMask, MaxLen(MAX_EXPAND_PATHS), AfterValidator(self._checked)]
        text = _DESCRIPTION.format(",".join(self._resource.expandable))
        return {EXPAND: (paths | None, Field(default=None, description=text))}

    async def expand(self, items: Sequence[Any], paths: Iterable[str], context: Any) -> None:
        """Add to items, each of the schema of the resource, what the paths name."""
        tree: Tree = {}
        for path in paths:
            inner = tree
            for name in path.split("."):
                inner = inner.setdefault(name, {})
        await self._fill(self._resource, items, tree, context)

    def _checked(self, paths: list[str]) -> list[str]:
        for path in paths:
            shown = path[:MAX_NAME_LENGTH]
            names = path.split(".") if len(path) <= _MAX_PATH_LENGTH else []
            if not 0 < len(names) <= MAX_EXPAND_DEPTH:
                text = f"{shown!r} has more than {MAX_EXPAND_DEPTH} names"
                raise PydanticCustomError("too_deep", "{text}", {"text": text})
            resource = self._resource
            for name in names:
                if name not in resource.expandable:
                    text = f"{shown!r} cannot be expanded"
                    raise PydanticCustomError("unknown_field", "{text}", {"text": text})
                resource = resource.expandable[name]
        return paths

    async def _fill(
        self, resource: type[Any], items: Sequence[Any], tree: Tree, context: Any
    ) -> None:
        store: Any = resource.find_store()
        by_key: dict[Any, list[Any]] = {}
        for item in items:
            by_key.setdefault(getattr(item, store.key_name), []).append(item)
        for name, inner in tree.items():
            related = resource.expandable[name]
            read, is_many = self._readers[related], store.is_many(name)
            for item in items:
                _put(item, name, [] if is_many else None)
            rows = await store.related(
                name, list(by_key), related_store(related(None, context), show_deleted=False)
            )
            below: dict[int, Any] = {}
            for key, row in rows:
                for item in by_key.get(key, ()):
                    found = below.setdefault(id(row), None) or read(row)
                    below[id(row)] = found
                    if is_many:
                        item.__dict__[name].append(found)
                    else:
                        _put(item, name, found)
            if inner and below:
                await self._fill(related, list(below.values()), inner, context)


def _put(item: Any, name: str, value: Any) -> None:
    item.__dict__[name] = value
    item.__pydantic_fields_set__.add(name)


def _reader(resource: type[Any], describer: Describer) -> Callable[[Any], Any]:
    """Return what makes an object of the schema of a resource from what its store has."""
    schema: Any = item_schema(resource)
    answers = answers_of(describer.model(schema), schema)

    def read(row: Any) -> Any:
        if answers is None:
            return schema.model_validate(row, from_attributes=True, by_name=True)
        return answers.without_input(answers.read(row))

    return read
