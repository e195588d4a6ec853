"""What an action answers with, from the annotation of its result."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel

from bali.errors import ConfigurationError
from bali.resources.messages import is_model, page_response, response
from bali.resources.owner import Owner
from bali.resources.signature import MISSING, Signature
from bali.resources.spec import Kind, Wrap
from bali.resources.store import Page, Stored
from bali.schemas import ListNode, Record

__all__ = ["ResultShape", "schema_for"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultShape:
    """Finds out what one action answers with; `stem` begins the name of its message.

    Each method raises `ConfigurationError`, naming the method, for what cannot be told.
    """

    owner: Owner
    kind: Kind
    name: str
    where: str
    stem: str
    signature: Signature
    is_detail: bool

    def read(self) -> tuple[Wrap, type[BaseModel] | None]:
        """Return how a value becomes the message, and the model of it; None for an empty one."""
        returns = self.returns()
        if returns is None:
            if self.signature.is_streaming:
                raise ConfigurationError(
                    f"{self.where}: a stream of None tells its reader nothing; yield a value"
                )
            return Wrap.EMPTY, None
        name = f"{self.stem}Response"
        if get_origin(returns) is Page:
            return Wrap.PAGE, page_response(name, get_args(returns)[0])
        if is_model(returns):
            return Wrap.NONE, returns
        node = self.owner.describer.annotation(returns, where=f"{self.where}: result")
        if isinstance(node.node, ListNode) and not node.is_nullable:
            return Wrap.ITEMS, response(name, items=(returns, ...))
        if isinstance(node.node, Record) and node.is_nullable:
            return Wrap.RESULT, response(name, result=(returns, None))
        return Wrap.RESULT, response(name, result=(returns, ...))

    def returns(self) -> Any:
        """Return the annotation of the result, schemas in place of models; None for nothing."""
        returns = self._with_schemas(self.signature.returns)
        if self.kind is Kind.DELETE:
            return None if returns in (MISSING, Any, None, type(None)) else returns
        if self.kind is Kind.LIST or returns is Page or get_origin(returns) is Page:
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

    def _with_schemas(self, annotation: Any) -> Any:
        """Put schemas in the place of database models: `-> User` means the schema of a user."""
        model: Any = annotation if inspect.isclass(annotation) else None
        if model is not None and model is getattr(self.owner.schema, "__unexpanded__", None):
            return self.owner.schema
        if model is not None and isinstance(model, Stored):
            schema = self.owner.schema
            is_own = schema is not None and getattr(schema, "__model__", None) is annotation
            return schema if is_own else model.__store__.schema()
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is list or origin is Page:
            return origin[self._with_schemas(arguments[0])]
        if origin in (Union, UnionType) and NoneType in arguments:
            parts = [self._with_schemas(part) for part in arguments if part is not NoneType]
            return functools.reduce(operator.or_, parts) | None
        return annotation

    def _item_of_list(self, returns: Any) -> Any:
        arguments = get_args(returns)
        container = get_origin(returns) or returns
        if container in (MISSING, Any):
            return self._schema_for("the result")
        is_many = container is Page or (
            inspect.isclass(container)
            and issubclass(container, Iterable)
            and not issubclass(container, Mapping | BaseModel | str)
        )
        if not is_many:
            raise ConfigurationError(
                f"{self.where}: {self.name} returns many items, found {returns!r}; annotate it "
                "with Page[X] or list[X]"
            )
        return (
            arguments[0]
            if arguments and arguments[0] is not Any
            else self._schema_for("the result")
        )

    def listed(self) -> type[BaseModel] | None:
        """Return the schema of the items that a caller of a list sees."""
        returns = self._with_schemas(self.signature.returns)
        arguments = get_args(returns)
        item = arguments[0] if get_origin(returns) in (Page, list) else None
        return item if is_model(item) else self.owner.schema

    def _schema_for(self, what: str) -> type[BaseModel]:
        return schema_for(self.owner, what, where=self.where)


def schema_for(owner: Owner, what: str, *, where: str) -> type[BaseModel]:
    """Return the schema of a resource, where nothing else tells the type of `what`."""
    if owner.schema is None:
        raise ConfigurationError(
            f"{where}: {what} has no type and {owner.resource.__name__} no schema to "
            "take it from; annotate it with a pydantic model"
        )
    return owner.schema
