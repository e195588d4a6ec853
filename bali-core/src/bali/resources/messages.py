"""The pydantic models of requests and responses that follow from a resource."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, TypeGuard, Union, get_args, get_origin

from annotated_types import MaxLen
from pydantic import BaseModel, ConfigDict, Field, create_model

from bali.errors import ConfigurationError
from bali.resources.requests import (
    FORMER_NAMES,
    MAX_FILTER_ITEMS,
    MAX_FILTER_LENGTH,
    MAX_PAGE_SIZE,
    ListRequest,
    request_field,
)

__all__ = ["is_model", "list_request", "page_response", "response", "without_none"]


def is_model(annotation: Any) -> TypeGuard[type[BaseModel]]:
    """Tell whether an annotation is a pydantic model."""
    return inspect.isclass(annotation) and issubclass(annotation, BaseModel)


def without_none(annotation: Any) -> Any:
    """Return `X` for `X | None`, everything else as it is."""
    if get_origin(annotation) in (Union, UnionType):
        rest = [choice for choice in get_args(annotation) if choice is not NoneType]
        if len(rest) == 1:
            return rest[0]
    return annotation


def list_request(
    name: str,
    base: type[ListRequest],
    filters: Mapping[str, Any],
    *,
    page_size: int | None,
    reserved: Mapping[str, Any] = MappingProxyType({}),
    where: str,
) -> type[ListRequest]:
    """Return a list request with a field for each filter that `base` lacks.

    `filters` maps names to annotations; `page_size` is the default, None for that of `base`;
    `reserved` are further fields as `create_model` takes them.
    Raises `ConfigurationError`, beginning with `where`, for a name that every list has and for a
    page size out of range.
    """
    fields: dict[str, Any] = dict(reserved)
    attributes: dict[str, str] = {}
    for filter_name, annotation in filters.items():
        if filter_name in {*ListRequest.model_fields, *FORMER_NAMES, *reserved}:
            raise ConfigurationError(
                f"{where}: filter {filter_name!r} has the name of a field that every list has"
            )
        if filter_name in base.model_fields:
            attributes[filter_name] = filter_name
            continue
        field = request_field(filter_name, _bounded(annotation) | None, default=None)
        attributes[filter_name] = next(iter(field))
        fields |= field
    given: Any = page_size  # whatever a resource class has there
    if given is not None and not (isinstance(given, int) and 1 <= given <= MAX_PAGE_SIZE):
        raise ConfigurationError(
            f"{where}: page_size {given!r} is not between 1 and {MAX_PAGE_SIZE}"
        )
    made: Any = create_model(name, __base__=base, __module__=base.__module__, **fields)
    model: type[ListRequest] = made
    model.filter_attributes = attributes
    if page_size is not None:
        model.default_page_size = page_size
    return model


def page_response(name: str, item: Any) -> type[BaseModel]:
    """Return the model of one page of items."""
    return response(
        name,
        items=(list[item], ...),
        next_page_token=(
            str,
            Field(default="", description='Continues the list; "" on the last page.'),
        ),
        total=(
            int | None,
            Field(default=None, description="Items on all pages, when asked for."),
        ),
    )


def response(name: str, **fields: Any) -> type[BaseModel]:
    """Return the model of a response with these fields, as `create_model` takes them."""
    return create_model(name, __config__=ConfigDict(from_attributes=True), **fields)


def _bounded(annotation: Any) -> Any:
    if annotation is str:
        return Annotated[str, MaxLen(MAX_FILTER_LENGTH)]
    if get_origin(annotation) is list:
        item = _bounded(get_args(annotation)[0])
        return Annotated[list[item], MaxLen(MAX_FILTER_ITEMS)]  # type: ignore[valid-type]  # made at run time
    return annotation
