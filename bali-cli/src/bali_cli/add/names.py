"""Names in generated Python for names in a .proto."""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Sequence

from bali.clients import AsyncFakeClient, Client, FakeClient, Schema
from bali.clients.async_client import AsyncClient
from bali.resources.naming import snake

__all__ = ["attribute", "enum_members", "free", "message_class", "method_name", "parameter"]

#: Names that annotations and defaults in a schema module use; a field of the same name would hide
#: them in its class.
ANNOTATION_NAMES = frozenset({
    "bool", "bytes", "dict", "float", "int", "list", "str", "None",
    "Any", "ClassVar", "Field", "Literal", "Message", "Schema", "OpenEnum", "Self",
    "any_pb2", "datetime", "decimal", "model_validator", "check_one_of", "property",
})  # fmt: skip
_ATTRIBUTES = frozenset({*dir(Schema), "message_type"})
_CLIENT_NAMES = frozenset(
    name
    for base in (Client, AsyncClient, FakeClient, AsyncFakeClient)
    for name in (*dir(base), "methods", "calls", "options", "service_name")
)
_PARAMETERS = frozenset(
    {"self", "request", "requests", "options", "given", "answer", "schemas"}
    | {"timeout", "metadata", "fail_silently", "cache_timeout", "refresh"}
)


def free(name: str, taken: Iterable[str]) -> str:
    """Return the name with as many underscores behind it as make it new."""
    found = set(taken)
    while name in found or keyword.iskeyword(name):
        name += "_"
    return name


def attribute(wire_name: str, hidden: Iterable[str], taken: Iterable[str]) -> str:
    """Return the attribute of a field; `hidden` are the names that the module's code uses."""
    stem = wire_name.lstrip("_") or "field"
    if stem[0].isdigit():
        stem = f"field_{stem}"
    return free(stem, {*ANNOTATION_NAMES, *_ATTRIBUTES, *hidden, *taken})


def message_class(path: Sequence[str], taken: Iterable[str]) -> str:
    """Return the class of a message: `Order.Item` is `OrderItem`."""
    return free("".join(part[:1].upper() + part[1:] for part in path), {*ANNOTATION_NAMES, *taken})


def method_name(rpc_name: str, taken: Iterable[str]) -> str:
    """Return the Python name of a method: `GetUser` is `get_user`."""
    return free(snake(rpc_name), {*_CLIENT_NAMES, *taken})


def parameter(name: str) -> str:
    """Return the name of a keyword argument for a field."""
    return free(name, _PARAMETERS)


def enum_members(enum_name: str, value_names: Sequence[str]) -> list[str]:
    """Return the members of an enum: without the prefix that all values share, if they do."""
    prefix = f"{snake(enum_name).upper()}_"
    shortened = [name.removeprefix(prefix) for name in value_names]
    is_whole = any(not name.startswith(prefix) for name in value_names)
    if is_whole or any(not name.isidentifier() for name in shortened):
        shortened = list(value_names)
    taken: list[str] = []
    for name in shortened:
        # A name with underscores at both ends, or that IntEnum uses itself, is no member.
        stem = name.strip("_") or "VALUE"
        stem = f"VALUE_{stem}" if stem[0].isdigit() else stem
        taken.append(free(stem, {*dir(int), "mro", "name", "value", *taken}))
    return taken
