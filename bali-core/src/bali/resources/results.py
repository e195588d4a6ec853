"""From what an action returns to the message that it declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from bali.errors import NotFound
from bali.resources.spec import ActionSpec, Kind, Wrap
from bali.resources.store import Page
from bali.resources.values import check_values

__all__ = ["result_of"]

_MAY_MISS = (Kind.GET, Kind.UPDATE)


def result_of(spec: ActionSpec, value: Any) -> BaseModel | None:
    """Return an object of exactly `spec.response_model`; None for an empty response.

    What the value has beyond the declared fields is left out. Raises `TypeError` for a value that
    is not what the action declares, and `ValueError` for one that no protocol carries: both are
    bugs of the service. None from `get` or `update` says that there is no such item: `NotFound`.
    """
    model = spec.response_model
    if model is None:
        return None
    if value is None and spec.wrap is Wrap.NONE and spec.kind in _MAY_MISS:
        raise NotFound(resource_type=spec.resource.singular_name())
    result: BaseModel = value if type(value) is model else _converted(spec, model, value)
    if spec.answers is not None:
        result = spec.answers.without_input(result)
    problems = check_values(result, allow_nul=True)
    if problems:
        raise ValueError(f"{spec.place} returned a value that no protocol carries: {problems}")
    return result


def _converted(spec: ActionSpec, model: type[BaseModel], value: Any) -> BaseModel:
    try:
        if isinstance(value, model):
            # pydantic takes an object of a subclass as it is, with all that the subclass has.
            values = value.__dict__
            own = {name: values[name] for name in model.model_fields if name in values}
            return (
                spec.answers.read(own) if spec.answers else model.model_validate(own, by_name=True)
            )
        wrapped = _wrapped(spec.wrap, value)
        if spec.answers is not None:
            return spec.answers.read(wrapped)
        return model.model_validate(wrapped, from_attributes=True, by_name=True)
    except (ValidationError, TypeError) as error:
        raise TypeError(
            f"{spec.place} returned {type(value).__name__}, which is not the {model.__name__} it "
            f"declares: {error}"
        ) from error


def _wrapped(wrap: Wrap, value: Any) -> Any:
    if wrap is Wrap.NONE:
        return value
    if wrap is Wrap.RESULT:
        return {"result": value}
    if wrap is Wrap.PAGE and isinstance(value, Page):
        return {
            "items": list(value.items),
            "next_page_token": value.next_page_token,
            "total": value.total,
        }
    if wrap is Wrap.PAGE and isinstance(value, Mapping):
        return value
    return {"items": list(value)}
