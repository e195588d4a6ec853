"""Reading the signature of an action method."""

from __future__ import annotations

import collections.abc
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from bali.errors import ConfigurationError

__all__ = ["MISSING", "Argument", "Signature", "read_signature"]

#: Stands for an annotation or a default that is not there.
MISSING = inspect.Parameter.empty

_STREAMS = (
    collections.abc.AsyncIterator,
    collections.abc.AsyncIterable,
    collections.abc.AsyncGenerator,
    collections.abc.Iterator,
    collections.abc.Generator,
)
_UNRESOLVED = (AttributeError, SyntaxError, TypeError)
_KEY_NAMES = ("pk", "id")
_BODY_NAME = "schema_in"


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One parameter of an action: a scalar that the caller gives by name."""

    name: str
    annotation: Any
    default: Any = MISSING


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What an action takes and returns.

    `key` is the parameter for the item's key, `body` the one for `schema_in`; their annotations
    are `MISSING` where the author left them out. `returns` is the annotation of the result, of one
    item for a stream.
    """

    key: Argument | None
    body: Argument | None
    scalars: tuple[Argument, ...]
    returns: Any
    is_async: bool
    is_streaming: bool


def read_signature(function: Callable[..., Any], *, where: str) -> Signature:
    """Read a method's parameters and annotations.

    Raises `ConfigurationError` for an annotation that cannot be resolved or is missing, for `*args`
    and `**kwargs`, and for two bodies; each message begins with `where`.
    """
    hints = _hints(function, where)
    key: Argument | None = None
    body: Argument | None = None
    scalars: list[Argument] = []
    for parameter in _parameters(function, where):
        argument = Argument(
            name=parameter.name,
            annotation=hints.get(parameter.name, MISSING),
            default=parameter.default,
        )
        if argument.name in _KEY_NAMES:
            if key is not None:
                raise ConfigurationError(
                    f"{where}: both {key.name!r} and {argument.name!r} are the key of the item; "
                    "drop one of them"
                )
            key = argument
        elif argument.name == _BODY_NAME or _is_model(argument.annotation):
            if body is not None:
                raise ConfigurationError(
                    f"{where}: both {body.name!r} and {argument.name!r} are bodies; a request has "
                    "one: put both into one schema"
                )
            body = argument
        elif argument.annotation is MISSING:
            raise ConfigurationError(
                f"{where}: parameter {argument.name!r} has no type; annotate it, as in "
                f"`{argument.name}: int`"
            )
        else:
            scalars.append(argument)
    returns, is_iterator = _item_of_stream(hints.get("return", MISSING))
    is_generator = inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function)
    return Signature(
        key=key,
        body=body,
        scalars=tuple(scalars),
        returns=returns,
        is_async=inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function),
        is_streaming=is_generator or is_iterator,
    )


def _parameters(function: Callable[..., Any], where: str) -> Iterator[inspect.Parameter]:
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters:
        raise ConfigurationError(f"{where}: an action is a method; its first parameter is `self`")
    for parameter in parameters[1:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ConfigurationError(
                f"{where}: {parameter} has no form in a request; name each parameter"
            )
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise ConfigurationError(
                f"{where}: parameter {parameter.name!r} is positional-only; arguments are given by "
                "name: drop the `/`"
            )
        yield parameter


def _hints(function: Callable[..., Any], where: str) -> Mapping[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except NameError as error:
        raise ConfigurationError(
            f"{where}: the type {error.name!r} is not known where the method is defined; import it "
            "at the top of the module, outside `if TYPE_CHECKING`"
        ) from error
    except _UNRESOLVED as error:
        raise ConfigurationError(
            f"{where}: an annotation cannot be evaluated ({error}); a name in it may mean another "
            "method of the class, such as `list`: write `builtins.list`"
        ) from error


def _is_model(annotation: Any) -> bool:
    return inspect.isclass(annotation) and issubclass(annotation, BaseModel)


def _item_of_stream(annotation: Any) -> tuple[Any, bool]:
    origin = get_origin(annotation) or annotation
    if origin in _STREAMS:
        arguments = get_args(annotation)
        return arguments[0] if arguments else MISSING, True
    return annotation, False
