"""From the raw arguments of a call to the values that its action takes.

The rules that hold for every protocol are applied here: which fields there are, and what a single
value may be (see `values`). A field that breaks one is named as the caller wrote it; the fields of
a body are named relative to it, on every protocol.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from bali.errors import FieldError, InvalidArgument, ValidationFailed
from bali.resources.field_errors import MAX_ERRORS, field_errors, wrong_field
from bali.resources.partial_records import put_parts, read_parts
from bali.resources.requests import (
    FORMER_NAMES,
    ListRequest,
    kept_names,
    output_only_names,
    whole_input_model,
    wire_names,
)
from bali.resources.spec import ActionSpec, Kind
from bali.resources.update_masks import UPDATE_MASK, named_values, paths_of_update
from bali.resources.values import check_values
from bali.schemas import EnumNode, Node, Record, Scalar, ScalarKind
from bali.schemas.parts import EVERYTHING

__all__ = ["MAX_DEPTH", "Validator", "check_depth"]

#: How deep lists and objects of a request may be in one another; more is refused on every protocol.
MAX_DEPTH = 64
#: Types of values that hold no others, so that most need not be looked at more closely.
_SINGLE = frozenset({bool, bytes, datetime.datetime, float, int, str, type(None)})
_CONTAINERS = (dict, list, Mapping)


class Validator:
    """Validates the arguments of one action; built once, at start."""

    def __init__(self, spec: ActionSpec, *, max_depth: int = MAX_DEPTH) -> None:
        self._max_depth = max_depth
        self._may_nest = any(_nests(field.node) for field in spec.request.fields)
        self._spec = spec
        self._takes_nothing = spec.request.fields == () and spec.keyword_of_body is None
        self._parameters = _Part(spec.parameters, spec.request)
        #: A request holds single values alone, all of them parameters.
        self._is_plain = spec.body is None and not self._may_nest
        record: Node | None = spec.request
        if spec.body_field is not None:
            record = next(
                field.node for field in spec.request.fields if field.wire_name == spec.body_field
            )
        self._body = _Part(spec.body, record)
        self._replacement: _Part | None = None
        if spec.kind is Kind.UPDATE and spec.body is not None:
            self._replacement = _Part(whole_input_model(spec.body), record)

    def read(self, arguments: Mapping[str, Any]) -> tuple[BaseModel | None, dict[str, Any]]:
        """Return the validated parameters, and the keyword arguments of the action.

        Raises `ValidationFailed` with every field that is missing, unknown or wrong, and
        `InvalidArgument` for arguments that are nested too deeply.
        """
        if self._takes_nothing and not arguments:
            return None, {}
        errors: list[FieldError] = []
        if self._is_plain and arguments.keys() <= self._parameters.names.keys():
            parameters = self._parameters.validate(dict(arguments), errors)
            if not errors:
                return parameters, self._assigned(parameters, None)
        else:
            if self._may_nest:
                check_depth(arguments.get(str(self._spec.body_field), arguments), self._max_depth)
            found = self.collect(arguments, errors)
            if not errors:
                return found
        raise ValidationFailed(field_errors=errors[:MAX_ERRORS])

    def collect(
        self, arguments: Mapping[str, Any], errors: list[FieldError]
    ) -> tuple[BaseModel | None, dict[str, Any]]:
        """Return the same, of no use when there are `errors`, which it adds to."""
        count = len(errors)
        try:
            parameters, body = self._validated(arguments, errors)
        except RecursionError as error:
            raise InvalidArgument("The request is nested too deeply", reason="TOO_DEEP") from error
        if len(errors) > count:
            return None, {}
        return parameters, self._assigned(parameters, body)

    def _validated(
        self, arguments: Mapping[str, Any], errors: list[FieldError]
    ) -> tuple[BaseModel | None, BaseModel | None]:
        own, sent = self._split(arguments, errors)
        parameters = self._parameters.validate(own, errors)
        if self._spec.body is None:
            return parameters, None
        if isinstance(sent, BaseModel):
            sent = sent.model_dump(exclude_unset=True, by_alias=True)
        if not isinstance(sent, Mapping):
            errors.append(
                wrong_field(self._spec.body_field or "", "OBJECT_TYPE", "must be an object")
            )
            return parameters, None
        return parameters, self._validate_body(sent, parameters, errors)

    def _assigned(self, parameters: BaseModel | None, body: BaseModel | None) -> dict[str, Any]:
        spec = self._spec
        keywords: dict[str, Any] = {}
        if spec.keyword_of_id is not None:
            keywords[spec.keyword_of_id] = getattr(parameters, self._parameters.names["id"])
        for name, keyword in spec.keywords.items():
            keywords[keyword] = getattr(parameters, self._parameters.names[name])
        if spec.keyword_of_body is not None:
            keywords[spec.keyword_of_body] = parameters if spec.body is None else body
        return keywords

    def _split(
        self, arguments: Mapping[str, Any], errors: list[FieldError]
    ) -> tuple[dict[str, Any], Any]:
        body_field, part = self._spec.body_field, self._parameters
        has_rest = self._spec.body is not None and body_field is None
        own: dict[str, Any] = {}
        rest: dict[str, Any] = {}
        for name, value in arguments.items():
            if name == body_field:
                continue
            if name in part.names:
                own[name] = value
            elif has_rest:
                rest[name] = value
            elif part.accepts(name):
                own[name] = value
            else:
                errors.append(wrong_field(name, "UNKNOWN_FIELD", "is not a field of this request"))
        return own, rest if body_field is None else arguments.get(body_field, {})

    def _validate_body(
        self, sent: Mapping[str, Any], parameters: BaseModel | None, errors: list[FieldError]
    ) -> BaseModel | None:
        part = self._body
        body: dict[str, Any] = {}
        for name, value in sent.items():
            if name not in part.names and not part.accepts(name):
                errors.append(wrong_field(name, "UNKNOWN_FIELD", "is not a field of this request"))
            elif name not in part.output_only:
                body[name] = value
        # An empty mask is an absent one (AIP-134).
        mask = getattr(parameters, UPDATE_MASK, None) if self._replacement else None
        if not mask:
            return part.validate(body, errors)
        if self._replacement is not None and list(mask) == [EVERYTHING]:
            return self._replacement.validate(body, errors, is_replacement=True)
        return self._masked(body, mask, errors)

    def _masked(
        self, body: Mapping[str, Any], mask: Iterable[str], errors: list[FieldError]
    ) -> BaseModel | None:
        """Return an object with what the mask names, parts of nested records among it."""
        part, record = self._body, self._body.node
        if not isinstance(record, Record):
            raise TypeError(f"{self._spec.place}: what is updated has no fields")
        paths = paths_of_update(mask, record, errors, output_only=part.output_only)
        validated = part.validate(named_values(record, paths, body, "", errors), errors)
        parts = read_parts(record, paths, body, errors)
        if validated is not None:
            put_parts(validated, parts)
        return validated


class _Part:
    """A part of a request that one model validates."""

    def __init__(self, model: type[BaseModel] | None, node: Node | None) -> None:
        self.model = model
        self.node = node
        #: Wire name -> attribute of the model.
        self.names: Mapping[str, str] = wire_names(model) if model is not None else {}
        self.output_only = output_only_names(model) if model is not None else frozenset()
        #: Other names that a list is asked with -> the name each stands for.
        self.former: Mapping[str, str] = {}
        if model is not None and issubclass(model, ListRequest):
            self.former = FORMER_NAMES
        #: The author has said what becomes of unknown fields; else they are refused.
        self._is_open = model is not None and model.model_config.get("extra") in ("ignore", "allow")

    def accepts(self, name: str) -> bool:
        """Tell whether a field of this name may be sent."""
        known = name in self.names or name in self.former or name in self.output_only
        return self._is_open or known

    def validate(
        self,
        values: Mapping[str, Any],
        errors: list[FieldError],
        *,
        is_replacement: bool = False,
    ) -> BaseModel | None:
        """Return an object of the model; None after appending what is wrong.

        With `is_replacement` every field that the caller may set counts as sent.
        """
        if self.model is None:
            return None
        try:
            # The alias is the name on the wire, whatever the configuration of a model says.
            validated: BaseModel = self.model.__pydantic_validator__.validate_python(
                values, by_alias=True
            )
        except ValidationError as error:
            errors.extend(self._as_sent(values, field_errors(error, self.node)))
            return None
        problems = check_values(validated)
        if problems:
            errors.extend(self._as_sent(values, problems))
        if is_replacement:
            names = {name for wire, name in self.names.items() if wire not in self.output_only}
            validated.__pydantic_fields_set__.update(names - kept_names(type(validated)))
        return validated

    def _as_sent(
        self, values: Mapping[str, Any], errors: Iterable[FieldError]
    ) -> Iterable[FieldError]:
        """Name fields as they were sent when that was by a former name."""
        sent = {name: former for former, name in self.former.items() if former in values}
        for error in errors:
            if error.field in sent and error.field not in values:
                yield wrong_field(sent[error.field], error.reason, error.description)
            else:
                yield error


def _nests(node: Node) -> bool:
    """Tell whether values of a node hold others, so that they can be deep."""
    return not isinstance(node, EnumNode | Scalar) or (
        isinstance(node, Scalar) and node.kind is ScalarKind.ANY
    )


def check_depth(value: Any, max_depth: int) -> None:
    """Raise `InvalidArgument` for more than `max_depth` lists and objects in one another."""
    level = [value] if isinstance(value, _CONTAINERS) else []
    for _ in range(max_depth):
        if not level:
            return
        level = [
            item
            for parent in level
            for item in (parent if isinstance(parent, list) else parent.values())
            if type(item) not in _SINGLE and isinstance(item, _CONTAINERS)
        ]
    if level:
        raise InvalidArgument(
            f"The request is nested more than {max_depth} levels deep", reason="TOO_DEEP"
        )
