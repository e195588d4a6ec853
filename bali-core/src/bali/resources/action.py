"""Declaring the operations of a resource."""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, overload

from bali.errors import ConfigurationError
from bali.resources.permissions import PermissionLike

__all__ = ["ActionOptions", "action", "action_options", "options_in", "place_of"]

F = TypeVar("F", bound=Callable[..., Any])

_ATTRIBUTE = "__bali_action__"
#: Segments of unreserved characters (RFC 3986 section 2.3).
_PATH = re.compile(r"[\w.~-]+(/[\w.~-]+)*", re.ASCII)
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionOptions:
    """What `@action` was told; see there."""

    detail: bool = False
    methods: tuple[str, ...] = ("GET",)
    rpc_name: str | None = None
    http_only: bool = False
    rpc_only: bool = False
    permission_classes: Sequence[PermissionLike] | None = None
    path: str | None = None
    tags: tuple[str, ...] = ()
    lro: bool = False


@overload
def action(function: F, /) -> F: ...


@overload
def action(
    *,
    detail: bool = False,
    methods: Sequence[str] = ("get",),
    rpc_name: str | None = None,
    http_only: bool = False,
    rpc_only: bool = False,
    permission_classes: Sequence[PermissionLike] | None = None,
    path: str | None = None,
    tags: Sequence[str] = (),
    lro: bool = False,
) -> Callable[[F], F]: ...


def action(
    function: Any = None,
    /,
    *,
    detail: bool = False,
    methods: Sequence[str] = ("get",),
    rpc_name: str | None = None,
    http_only: bool = False,
    rpc_only: bool = False,
    permission_classes: Sequence[PermissionLike] | None = None,
    path: str | None = None,
    tags: Sequence[str] = (),
    lro: bool = False,
) -> Any:
    """Offer a method of a resource as an operation on both protocols.

    `detail`: it concerns one item; the method takes its key as `pk` and the path is
    `/users/{id}/{name}` instead of `/users/{name}`. `methods`: HTTP methods, GET by default; with
    GET and DELETE the arguments come from the query string, else from the JSON body.
    `rpc_name`: the gRPC method's name instead of the derived one. `http_only`, `rpc_only`: leave
    the other protocol out. `permission_classes`: instead of the resource's. `path`: the last part
    of the HTTP path instead of the method's name. `tags`: for the API documentation.
    `lro`: the call is answered at once with an operation (AIP-151), which a worker performs; the
    response of the operation is what the method returns.

    The method may be `def` (runs in a worker thread), `async def`, or a generator of either kind,
    which is a stream: server-sent events or NDJSON over HTTP, server streaming over gRPC. Its
    annotations are its contract. `schema_in` is the body; other parameters are single values.

    Only annotates: the method itself is returned, and nothing is registered.
    """
    options = ActionOptions(
        detail=detail,
        methods=(methods,) if isinstance(methods, str) else tuple(methods),
        rpc_name=rpc_name,
        http_only=http_only,
        rpc_only=rpc_only,
        permission_classes=permission_classes,
        path=path,
        tags=tuple(tags),
        lro=lro,
    )

    def annotate(target: F) -> F:
        setattr(target, _ATTRIBUTE, _checked(options, target))
        return target

    return annotate if function is None else annotate(function)


def action_options(function: Any) -> ActionOptions | None:
    """Return what `@action` said about a function, None when it is no action."""
    options = getattr(function, _ATTRIBUTE, None)
    return options if isinstance(options, ActionOptions) else None


def options_in(cls: type[Any], name: str) -> ActionOptions | None:
    """Return what `@action` said about a method of a class, None when it is no action.

    An override without `@action` is the same action as what it overrides, with its permissions;
    `name = None` in a class takes the action away.
    """
    for owner in cls.__mro__:
        if name in vars(owner):
            found = vars(owner)[name]
            options = action_options(found)
            if options is not None or found is None:
                return options
    return None


def place_of(target: Any) -> str:
    """Return "module.Class.method (file:line)" of a function or class, for messages."""
    name = f"{getattr(target, '__module__', '?')}.{getattr(target, '__qualname__', target)}"
    code = getattr(inspect.unwrap(target) if callable(target) else target, "__code__", None)
    if code is not None:
        return f"{name} ({code.co_filename}:{code.co_firstlineno})"
    try:
        file = inspect.getsourcefile(target)
    except TypeError:
        return name
    line = _class_lines(file).get(target.__qualname__) if file else None
    return name if line is None else f"{name} ({file}:{line})"


@functools.cache
def _class_lines(file: str) -> dict[str, int]:
    """Return the line of each class of a file, by qualified name; none if it cannot be read.

    `inspect.getsourcelines` reads the file anew for every class of it.
    """
    found: dict[str, int] = {}

    def look_into(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                found.setdefault(f"{prefix}{child.name}", child.lineno)
                look_into(child, f"{prefix}{child.name}.")
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                look_into(child, f"{prefix}{child.name}.<locals>.")
            else:
                look_into(child, prefix)

    try:
        look_into(ast.parse("".join(linecache.getlines(file))), "")
    except SyntaxError:
        return {}
    return found


def _checked(options: ActionOptions, function: Any) -> ActionOptions:
    where = place_of(function)
    if not callable(function) or isinstance(function, staticmethod | classmethod):
        raise ConfigurationError(
            f"{where}: an action is a plain method, found {type(function).__name__}; "
            "leave out classmethod, staticmethod and property"
        )
    if options.http_only and options.rpc_only:
        raise ConfigurationError(
            f"{where}: http_only and rpc_only together leave no protocol; drop one of them"
        )
    if options.path is not None and not _PATH.fullmatch(options.path):
        raise ConfigurationError(
            f"{where}: path {options.path!r} is not the end of a URL path; write it like "
            "path='move-home'"
        )
    methods = tuple(dict.fromkeys(method.upper() for method in options.methods))
    unknown = [method for method in methods if method not in _METHODS]
    if unknown or not methods:
        raise ConfigurationError(
            f"{where}: HTTP method {', '.join(unknown) or '(none)'} is not possible; "
            f"use {', '.join(sorted(_METHODS))}"
        )
    return replace(options, methods=methods)
