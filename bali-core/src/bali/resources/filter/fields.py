"""What a filter may name: the fields of a resource, and the functions that it declares."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import PydanticUserError, TypeAdapter

from bali.errors import ConfigurationError
from bali.resources.filter.literals import ValueType
from bali.schemas import Describer, Scalar, ScalarKind

__all__ = ["FilterField", "FilterFields", "FilterFunction", "filter_fields"]

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FilterField:
    """A field by the name that callers use; `attribute` is where its value is."""

    name: str
    attribute: str
    type: ValueType


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FilterFunction:
    """A function by the name that callers use, and the types of its arguments.

    `required` of them must be given; `rest` is the type of any further ones, None when there are
    no further ones.
    """

    name: str
    function: Callable[..., Any]
    parameters: tuple[ValueType, ...]
    required: int
    rest: ValueType | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FilterFields:
    """Everything that the filters of one list may name. Equal only to itself."""

    fields: Mapping[str, FilterField] = field(default_factory=dict)
    functions: Mapping[str, FilterFunction] = field(default_factory=dict)


def filter_fields(
    fields: Mapping[str, tuple[str, Any]],
    functions: Any,
    *,
    describer: Describer,
    where: str,
) -> FilterFields:
    """Return what a filter may name; `fields` maps names to attribute and annotation.

    Raises `ConfigurationError`, beginning with `where`, for a function that cannot be called with
    values from a filter.
    """
    if not isinstance(functions, Mapping):
        raise ConfigurationError(
            f"{where}: filter_functions is {functions!r}; it maps names to functions, as in "
            '{"older_than": older_than}'
        )
    return FilterFields(
        fields={
            name: FilterField(
                name=name,
                attribute=attribute,
                type=_value_type(annotation, describer, f"{where}: {name}"),
            )
            for name, (attribute, annotation) in fields.items()
        },
        functions={
            name: _function(name, function, describer, f"{where}: filter_functions[{name!r}]")
            for name, function in functions.items()
        },
    )


def _value_type(annotation: Any, describer: Describer, where: str) -> ValueType:
    node = describer.annotation(annotation, where=where).node
    if node == Scalar(ScalarKind.STRING):
        annotation = str  # a text that is too long, or no address, is merely found nowhere
    try:
        return ValueType(node, TypeAdapter(annotation))
    except PydanticUserError as error:
        raise ConfigurationError(f"{where}: {annotation!r} cannot be validated") from error


def _function(name: Any, function: Any, describer: Describer, where: str) -> FilterFunction:
    if not (isinstance(name, str) and name.isascii() and name.isidentifier()):
        raise ConfigurationError(f"{where}: a function is called by a name such as older_than")
    if not callable(function) or inspect.iscoroutinefunction(function):
        raise ConfigurationError(f"{where}: {function!r} is no function, or one to be awaited")
    try:
        signature = inspect.signature(function, eval_str=True)
    except (NameError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{where}: its parameters cannot be read: {error}") from error
    parameters: list[ValueType] = []
    required, rest = 0, None
    for parameter in signature.parameters.values():
        kind = str if parameter.annotation is parameter.empty else parameter.annotation
        found = _value_type(kind, describer, f"{where}: {parameter.name}")
        if not found.is_comparable:
            raise ConfigurationError(
                f"{where}: {parameter.name} is {kind!r}; arguments are single values"
            )
        if parameter.kind in _POSITIONAL:
            parameters.append(found)
            required += parameter.default is parameter.empty
        elif parameter.kind is parameter.VAR_POSITIONAL:
            rest = found
        elif parameter.default is parameter.empty:
            raise ConfigurationError(f"{where}: {parameter.name} cannot be given by position")
    return FilterFunction(
        name=name, function=function, parameters=tuple(parameters), required=required, rest=rest
    )
