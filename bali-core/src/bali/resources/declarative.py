"""Resources without a class: `API("Greeter").get({"hello": "world"})`."""

from __future__ import annotations

import builtins
import types
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from pydantic import BaseModel, create_model

from bali.errors import ConfigurationError
from bali.resources.naming import camel, snake
from bali.resources.resource import Resource

__all__ = ["API"]


class API:
    """A resource that gives fixed answers, for trying things out.

    Every `Bali` that is made later offers it, on all protocols: `API("Greeter").get({...})` is
    `GET /greeters/{id}` and `GetGreeter`, `.list([...])` is `GET /greeters` and `ListGreeters`. The
    schema follows from the answers' values, unless `schema` gives one.
    """

    #: What has been declared in this process, in order.
    declared: ClassVar[builtins.list[API]] = []

    def __init__(self, name: str) -> None:
        self.name = name
        self._schema: type[BaseModel] | None = None
        self._one: Mapping[str, Any] | None = None
        self._many: Sequence[Mapping[str, Any]] | None = None
        API.declared.append(self)

    def schema(self, schema: type[BaseModel]) -> Self:
        """Take the schema of one item from a pydantic model."""
        self._schema = schema
        return self

    def get(self, answer: Mapping[str, Any]) -> Self:
        """Answer `get` with this item, whatever the key."""
        self._one = _checked(answer, Mapping, f"API({self.name!r}).get", "a dict")
        return self

    def list(self, answers: Sequence[Mapping[str, Any]]) -> Self:
        """Answer `list` with these items."""
        self._many = _checked(answers, Sequence, f"API({self.name!r}).list", "a list of dicts")
        return self

    def resource(self) -> type[Resource]:
        """Return the class. Raises `ConfigurationError` when no answer has been given."""
        items = [*([self._one] if self._one is not None else []), *(self._many or [])]
        if not items:
            raise ConfigurationError(
                f"API({self.name!r}) answers nothing; add .get({{...}}) or .list([{{...}}])"
            )
        schema = self._schema or _schema_of(camel(snake(self.name)), items[0])
        one, many = self._one, self._many

        def get(self: Resource, pk: int) -> Any:
            del self, pk
            return one

        def list_(self: Resource) -> Any:
            del self
            return many

        methods: dict[str, Any] = {"schema": schema, "name": self.name, "__module__": __name__}
        if one is not None:
            methods["get"] = get
        if many is not None:
            methods["list"] = list_
        name = f"{camel(snake(self.name))}Resource"
        made: type[Resource] = types.new_class(name, (Resource,), {}, lambda ns: ns.update(methods))
        return made


def _checked(answer: Any, kind: type[Any], where: str, wanted: str) -> Any:
    items = [answer] if kind is Mapping else answer
    is_right = isinstance(answer, kind) and all(isinstance(item, Mapping) for item in items)
    if not is_right or not answer:
        raise ConfigurationError(f"{where}({answer!r}): give it {wanted}")
    return answer


def _schema_of(name: str, item: Mapping[str, Any]) -> type[BaseModel]:
    fields: dict[str, Any] = {key: (_annotation(value), ...) for key, value in item.items()}
    return create_model(f"{name}Schema", **fields)


def _annotation(value: Any) -> Any:
    return type(value) if isinstance(value, bool | int | float | str) else Any
