"""pydantic's spoke: from annotations and models to the typed tree.

Everything a tree cannot hold is refused here, with the model and the field named, since a type
that only one protocol could carry would make the two differ.
"""

from __future__ import annotations

import collections.abc
import enum
import inspect
import types
import typing
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typing_extensions
from pydantic import (
    AliasChoices,
    AwareDatetime,
    BaseModel,
    Discriminator,
    EmailStr,
    FutureDate,
    FutureDatetime,
    JsonValue,
    NaiveDatetime,
    PastDate,
    PastDatetime,
)
from pydantic.fields import ComputedFieldInfo, FieldInfo
from pydantic_core import PydanticUndefined

from bali.errors import ConfigurationError
from bali.schemas.behaviour import is_expanded, is_immutable, is_input_only, is_output_only
from bali.schemas.tree import (
    SCALAR_TYPES,
    EnumNode,
    Field,
    ListNode,
    MapNode,
    Node,
    Record,
    Scalar,
    ScalarKind,
    UnionNode,
    Variant,
)

__all__ = ["Described", "Describer", "describe"]

_LISTS: dict[Any, type] = {
    list: list,
    set: set,
    frozenset: frozenset,
    collections.abc.Sequence: list,
    collections.abc.Iterable: list,
    collections.abc.Set: set,
}
#: pydantic's marker classes, whose values are of a plain type.
_MARKERS: dict[Any, ScalarKind] = {
    EmailStr: ScalarKind.STRING,
    AwareDatetime: ScalarKind.DATETIME,
    NaiveDatetime: ScalarKind.DATETIME,
    PastDatetime: ScalarKind.DATETIME,
    FutureDatetime: ScalarKind.DATETIME,
    PastDate: ScalarKind.DATE,
    FutureDate: ScalarKind.DATE,
}
_ALIAS_TYPES = (
    typing_extensions.TypeAliasType,
    getattr(typing, "TypeAliasType", typing_extensions.TypeAliasType),
)
_MAPS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


class Described(typing.NamedTuple):
    """A node, and whether None may stand in its place."""

    node: Node
    is_nullable: bool


class Describer:
    """Turns annotations into nodes; one model becomes one `Record`, however often it is met."""

    def __init__(self) -> None:
        self._records: dict[type[BaseModel], Record] = {}
        self._enums: dict[Any, EnumNode] = {}

    def model(self, model: type[BaseModel]) -> Record:
        """Return the record of a pydantic model."""
        known = self._records.get(model)
        if known is not None:
            return known
        record = Record(name=_model_name(model), description=_doc(model), type=model)
        self._records[model] = record
        model.model_rebuild()
        fields = tuple(
            self._field(f"{model.__name__}.{name}", name, info)
            for name, info in model.model_fields.items()
            if not info.exclude
        )
        computed = tuple(
            self._computed(f"{model.__name__}.{name}", name, info)
            for name, info in model.model_computed_fields.items()
        )
        return record.fill(fields + computed)

    def describe_as(self, model: type[BaseModel], other: type[BaseModel]) -> None:
        """Describe a model as another one, which has more fields."""
        self._records[model] = self.model(other)

    def annotation(self, annotation: Any, *, where: str) -> Described:
        """Return the node of an annotation; `where` names its place in an error.

        Raises `ConfigurationError` for a type without a form on every protocol.
        """
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            return self._annotated(arguments[0], arguments[1:], where)
        if annotation is JsonValue:
            return Described(Scalar(ScalarKind.ANY), is_nullable=False)
        if isinstance(annotation, _ALIAS_TYPES):
            return self.annotation(annotation.__value__, where=where)
        if isinstance(annotation, typing.NewType):
            return self.annotation(annotation.__supertype__, where=where)
        if origin in (Union, types.UnionType):
            return self._union(arguments, None, where)
        return Described(self._plain(annotation, origin, arguments, where), is_nullable=False)

    def _annotated(self, base: Any, marks: tuple[Any, ...], where: str) -> Described:
        for mark in marks:
            if isinstance(mark, Scalar | EnumNode):
                return Described(mark, is_nullable=False)
        discriminator = next(filter(None, map(_discriminator, marks)), None)
        if get_origin(base) in (Union, types.UnionType):
            return self._union(get_args(base), discriminator, where)
        return self.annotation(base, where=where)

    def _field(self, where: str, name: str, info: FieldInfo) -> Field:
        annotation = info.annotation
        marks = tuple(mark for mark in info.metadata if isinstance(mark, Scalar | EnumNode))
        discriminator = _discriminator(info)
        if discriminator is not None:
            described = self._union(get_args(annotation), discriminator, where)
        elif marks:
            inner = self.annotation(annotation, where=where)
            described = Described(marks[0], inner.is_nullable)
        else:
            described = self.annotation(annotation, where=where)
        _check_alias(where, name, info)
        _check_behaviour(where, info)
        default = None if info.default is PydanticUndefined else info.default
        return Field(
            name=name,
            node=described.node,
            is_required=info.is_required(),
            is_nullable=described.is_nullable,
            is_output_only=is_output_only(info),
            is_input_only=is_input_only(info),
            is_immutable=is_immutable(info),
            is_expanded=is_expanded(info),
            default=default,
            description=info.description or "",
            alias=info.alias if info.alias != name else None,
        )

    def _computed(self, where: str, name: str, info: ComputedFieldInfo) -> Field:
        """Describe a computed field, which pydantic writes on every protocol and reads on none."""
        described = self.annotation(info.return_type, where=where)
        return Field(
            name=name,
            node=described.node,
            is_required=False,
            is_nullable=described.is_nullable,
            is_output_only=True,
            description=info.description or "",
            alias=info.alias if info.alias != name else None,
        )

    def _plain(self, annotation: Any, origin: Any, arguments: tuple[Any, ...], where: str) -> Node:
        if annotation is Any or annotation is object:
            return Scalar(ScalarKind.ANY)
        if origin is Literal:
            return self._literal(arguments, where)
        if origin in _LISTS or annotation in _LISTS:
            return self._list(_LISTS[origin or annotation], arguments, where)
        if origin is tuple:
            if len(arguments) != 2 or arguments[1] is not Ellipsis:  # noqa: PLR2004 - (X, ...)
                raise _refused(where, annotation, "tuple[X, ...] or a model with named fields")
            return self._list(tuple, arguments[:1], where)
        if origin in _MAPS or annotation in _MAPS:
            return self._map(arguments, where)
        if inspect.isclass(annotation):
            return self._class(annotation, where)
        raise _refused(where, annotation, "a scalar, a model, a list or a dict")

    def _class(self, annotation: type, where: str) -> Node:
        if issubclass(annotation, BaseModel):
            return self.model(annotation)
        if annotation in _MARKERS:
            return Scalar(_MARKERS[annotation])
        if issubclass(annotation, enum.Enum):
            return self._enum(annotation)
        if annotation in SCALAR_TYPES:
            return Scalar(SCALAR_TYPES[annotation])
        for base, kind in SCALAR_TYPES.items():
            if base is not bool and issubclass(annotation, base):
                return Scalar(kind)
        raise _refused(where, annotation, "a scalar, a pydantic model, an Enum, a list or a dict")

    def _list(self, container: type, arguments: tuple[Any, ...], where: str) -> ListNode:
        item = self.annotation(arguments[0] if arguments else Any, where=f"{where}[]")
        return ListNode(item=item.node, is_item_nullable=item.is_nullable, container=container)

    def _map(self, arguments: tuple[Any, ...], where: str) -> MapNode:
        key, value = arguments or (str, Any)
        if self.annotation(key, where=f"{where} key") != (Scalar(ScalarKind.STRING), False):
            raise _refused(where, (key, value), "dict[str, X]: keys must be strings")
        described = self.annotation(value, where=f"{where}{{}}")
        return MapNode(value=described.node, is_value_nullable=described.is_nullable)

    def _enum(self, annotation: type[enum.Enum]) -> EnumNode:
        if annotation not in self._enums:
            self._enums[annotation] = EnumNode(
                name=annotation.__name__,
                members=tuple((member.name, member.value) for member in annotation),
                type=annotation,
                description=_doc(annotation),
            )
        return self._enums[annotation]

    def _literal(self, values: tuple[Any, ...], where: str) -> Node:
        if not all(isinstance(value, str) for value in values):
            raise _refused(where, Literal[values], "a Literal of strings, or an Enum")
        texts = [value.value if isinstance(value, enum.Enum) else value for value in values]
        return EnumNode(name="", members=tuple((text, text) for text in texts))

    def _union(
        self, arguments: tuple[Any, ...], discriminator: str | None, where: str
    ) -> Described:
        choices = [choice for choice in arguments if choice is not type(None)]
        is_nullable = len(choices) != len(arguments)
        if len(choices) == 1:
            inner = self.annotation(choices[0], where=where)
            return Described(inner.node, is_nullable or inner.is_nullable)
        if discriminator is None and get_origin(choices[0]) is Annotated:
            raise _refused(where, tuple(choices), "one discriminator for all variants")
        if discriminator is None:
            raise _refused(
                where,
                tuple(choices),
                "a tagged union: Field(discriminator=...) over models with a Literal tag",
            )
        return Described(self._tagged(choices, discriminator, where), is_nullable)

    def _tagged(self, choices: list[Any], discriminator: str, where: str) -> UnionNode:
        variants = []
        for choice in choices:
            if not (inspect.isclass(choice) and issubclass(choice, BaseModel)):
                raise _refused(where, choice, "a pydantic model as variant of a tagged union")
            info = choice.model_fields.get(discriminator)
            tags = get_args(info.annotation) if info else ()
            if len(tags) != 1 or not isinstance(tags[0], str):
                raise ConfigurationError(
                    f"{where}: variant {choice.__name__} needs a field "
                    f"`{discriminator}: Literal['...']` to be told apart by"
                )
            tag = tags[0].value if isinstance(tags[0], enum.Enum) else tags[0]
            variants.append(Variant(tag=tag, record=self.model(choice)))
        return UnionNode(discriminator=discriminator, variants=tuple(variants))


def _discriminator(mark: Any) -> str | None:
    """Return the name of the field that tells variants apart, where a mark gives one."""
    found = mark.discriminator if isinstance(mark, FieldInfo | Discriminator) else None
    if isinstance(found, Discriminator):
        found = found.discriminator
    return found if isinstance(found, str) else None


def _check_alias(where: str, name: str, info: FieldInfo) -> None:
    """Refuse a field that would be read by one name and written by another."""
    wire_name = info.alias or name
    read = info.validation_alias
    names = list(read.choices) if isinstance(read, AliasChoices) else [read or wire_name]
    written = info.serialization_alias or wire_name
    if wire_name not in names or written != wire_name:
        raise ConfigurationError(
            f"{where}: it is read as {', '.join(map(repr, names))} and written as {written!r}, but "
            f"has one name on every protocol; set `alias` alone"
        )


def _check_behaviour(where: str, info: FieldInfo) -> None:
    """Refuse a field that would be in no request and in no answer."""
    if is_output_only(info) and is_input_only(info):
        raise ConfigurationError(
            f"{where}: it is both readOnly and writeOnly, so it would be nowhere; say one of them"
        )


def describe(model: type[BaseModel]) -> Record:
    """Return the tree of one model, made by a describer of its own."""
    return Describer().model(model)


def _model_name(model: type[BaseModel]) -> str:
    name = str(model.model_config.get("title") or model.__name__).removesuffix("Schema") or "Schema"
    return "".join(part[:1].upper() + part[1:] for part in _words(name))


def _words(name: str) -> list[str]:
    return "".join(char if char.isalnum() else " " for char in name).split()


def _doc(owner: type) -> str:
    own = owner.__dict__.get("__doc__")
    return inspect.cleandoc(own) if own else ""


def _refused(where: str, found: Any, wanted: str) -> ConfigurationError:
    shown = getattr(found, "__name__", None) if inspect.isclass(found) else None
    return ConfigurationError(
        f"{where}: type {shown or found!r} has no form on both protocols; use {wanted}"
    )
