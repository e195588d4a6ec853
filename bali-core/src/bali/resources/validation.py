"""From the raw arguments of a call to the values that its action takes.

The rules that hold for every protocol are here: which fields there are, int64's range, no NaN, no
NUL, and that a datetime without a zone is UTC. A field that breaks one is named as the caller wrote
it; the fields of a body are named relative to it, on every protocol.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from pydantic import BaseModel, ValidationError

from bali.errors import FieldError, InvalidArgument, ValidationFailed
from bali.resources.requests import input_model, output_only_names, schema_of_input
from bali.resources.spec import ActionSpec, Kind

__all__ = ["Validator", "check_values", "field_errors"]

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_REASONS = {"missing": "REQUIRED", "extra_forbidden": "UNKNOWN_FIELD"}
_MAX_ERRORS = 100


class Validator:
    """Validates the arguments of one action; built once, at start."""

    def __init__(self, spec: ActionSpec) -> None:
        self._spec = spec
        self._parameters = spec.parameters
        self._body = spec.body
        self._body_field = spec.body_field
        self._parameter_names = _wire_names(spec.parameters)
        self._output_only = output_only_names(spec.body) if spec.body else frozenset()
        self._replacement: type[BaseModel] | None = None
        if spec.kind is Kind.UPDATE and spec.body is not None:
            self._replacement = input_model(
                schema_of_input(spec.body), spec.body.__name__, is_partial=False
            )

    def keywords(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keyword arguments of the action.

        Raises `ValidationFailed` with every field that is missing, unknown or wrong.
        """
        spec = self._spec
        errors: list[FieldError] = []
        own, rest = self._split(arguments)
        parameters = _validate(self._parameters, own, errors) if self._parameters else None
        body: BaseModel | None = None
        if self._body is not None:
            body = self._validate_body(rest, parameters, errors)
        elif rest:
            errors.extend(_unknown(name) for name in rest)
        if errors:
            raise ValidationFailed(field_errors=errors[:_MAX_ERRORS])
        keywords: dict[str, Any] = {}
        if spec.keyword_of_id is not None:
            keywords[spec.keyword_of_id] = getattr(parameters, "id")  # noqa: B009 - made at run time
        for name, keyword in spec.keywords.items():
            keywords[keyword] = getattr(parameters, name)
        if spec.keyword_of_body is not None:
            keywords[spec.keyword_of_body] = body if self._body is not None else parameters
        return keywords

    def _split(self, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
        if self._body_field is not None:
            own = {name: value for name, value in arguments.items() if name != self._body_field}
            return own, arguments.get(self._body_field, {})
        if self._body is None:
            return dict(arguments), None
        own, rest = {}, {}
        for name, value in arguments.items():
            (own if name in self._parameter_names else rest)[name] = value
        return own, rest

    def _validate_body(
        self, body: Any, parameters: BaseModel | None, errors: list[FieldError]
    ) -> BaseModel | None:
        model = self._body
        assert model is not None
        if isinstance(body, BaseModel):
            body = body.model_dump(exclude_unset=True)
        if not isinstance(body, Mapping):
            errors.append(_wrong(self._body_field or "", "OBJECT_TYPE", "must be an object"))
            return None
        mask = getattr(parameters, "update_mask", None) if self._replacement else None
        if mask is not None:
            if list(mask) == ["*"]:
                model = self._replacement or model
            else:
                body = self._masked(body, mask, errors)
        if self._output_only:
            body = {name: value for name, value in body.items() if name not in self._output_only}
        validated = _validate(model, body, errors)
        if validated is not None and model is self._replacement:
            names = model.model_fields.keys() - self._output_only
            validated.__pydantic_fields_set__.update(names)
        return validated

    def _masked(
        self, body: Mapping[str, Any], mask: Iterable[str], errors: list[FieldError]
    ) -> dict[str, Any]:
        known = _wire_names(self._body)
        for path in mask:
            if path not in known:
                text = f"update_mask has no field {path!r}"
                errors.append(_wrong("update_mask", "UNKNOWN_FIELD", text))
            elif path in self._output_only:
                text = f"{path!r} is set by the service"
                errors.append(_wrong("update_mask", "OUTPUT_ONLY", text))
        return {path: body.get(path) for path in mask if path in known}


def check_values(value: Any, path: str, errors: list[FieldError]) -> Any:
    """Return a validated value with UTC for naive datetimes; append what no protocol carries.

    Models are changed in place, so that what they know about their fields stays.
    """
    if value is None or isinstance(value, bool | Enum):
        return value
    if isinstance(value, str):
        if "\x00" in value:
            errors.append(_wrong(path, "NUL_CHARACTER", "must not contain the character NUL"))
    elif isinstance(value, int):
        if not _INT64_MIN <= value <= _INT64_MAX:
            errors.append(_wrong(path, "INT64_RANGE", "must be a 64-bit signed integer"))
    elif isinstance(value, float):
        if not math.isfinite(value):
            errors.append(_wrong(path, "FINITE_NUMBER", "must be a finite number"))
    elif isinstance(value, datetime.datetime):
        return value if value.tzinfo is not None else value.replace(tzinfo=datetime.UTC)
    elif isinstance(value, BaseModel):
        _check_model(value, path, errors)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            check_values(key, path, errors)
        return {key: check_values(item, _join(path, key), errors) for key, item in value.items()}
    elif isinstance(value, list | tuple | set | frozenset):
        checked = [check_values(item, f"{path}[{n}]", errors) for n, item in enumerate(value)]
        return checked if isinstance(value, list) else type(value)(checked)
    return value


def field_errors(error: ValidationError) -> list[FieldError]:
    """Return pydantic's errors in our form, without the values that were sent."""
    return [
        FieldError(
            field=_path(item["loc"]),
            reason=_REASONS.get(item["type"], item["type"].upper()),
            description=item["msg"],
        )
        for item in error.errors(include_url=False, include_input=False, include_context=False)
    ]


def _check_model(model: BaseModel, path: str, errors: list[FieldError]) -> None:
    values = model.__dict__
    fields = type(model).model_fields
    for name, value in values.items():
        alias = fields[name].alias if name in fields else None
        checked = check_values(value, _join(path, alias or name), errors)
        if checked is not value:
            values[name] = checked


def _validate(
    model: type[BaseModel], values: Mapping[str, Any], errors: list[FieldError]
) -> BaseModel | None:
    try:
        validated = model.model_validate(values)
    except ValidationError as error:
        errors.extend(field_errors(error))
        return None
    except RecursionError as error:
        raise InvalidArgument("The request is nested too deeply", reason="TOO_DEEP") from error
    _check_model(validated, "", errors)
    return validated


def _wire_names(model: type[BaseModel] | None) -> frozenset[str]:
    if model is None:
        return frozenset()
    return frozenset(info.alias or name for name, info in model.model_fields.items())


def _wrong(field: str, reason: str, description: str) -> FieldError:
    return FieldError(field=field, reason=reason, description=description)


def _unknown(name: str) -> FieldError:
    return _wrong(name, "UNKNOWN_FIELD", "is not a field of this request")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else str(name)


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path = f"{path}[{part}]" if isinstance(part, int) else _join(path, part)
    return path
