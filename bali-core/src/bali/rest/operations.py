"""One operation of a resource as OpenAPI tells it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from bali.resources import ActionSpec, HttpBinding, Kind, ListRequest
from bali.resources.permissions import scopes_of
from bali.resources.read_masks import READ_MASK
from bali.resources.requests import output_only_names, wire_names
from bali.rest.arguments import takes_fields
from bali.rest.components import Components
from bali.rest.headers import REQUEST_ID_HEADER
from bali.rest.streams import StreamFormat

__all__ = ["BEARER_SCHEMES", "PROBLEMS", "SHARED_PARAMETERS", "Operation", "needs_credentials"]

#: What callers bring unless the authenticator says otherwise.
BEARER_SCHEMES: Mapping[str, Mapping[str, str]] = {"bearer": {"type": "http", "scheme": "bearer"}}
SHARED_PARAMETERS = ("XRequestId", "XRequestTimeout")

#: The component of each status that is told of in words: its name and its description.
PROBLEMS: Mapping[int, tuple[str, str]] = {
    400: ("BadRequest", "The request cannot be read, or is wrong whatever the state"),
    401: ("Unauthenticated", "The call carries no credentials that are accepted"),
    403: ("PermissionDenied", "The caller is not allowed to do this"),
    404: ("NotFound", "There is no such resource"),
    409: ("Conflict", "Such a resource exists already, or a concurrent change won"),
    412: ("PreconditionFailed", "The item is no longer what the caller has seen"),
    413: ("TooLarge", "The request body is too large"),
    415: ("UnsupportedMedia", "The request body is not JSON"),
    422: ("ValidationFailed", "Fields are missing or wrong; each is named"),
    429: ("ResourceExhausted", "A limit of the caller is reached"),
    500: ("Internal", "An unexpected error; quote the request id to have it looked up"),
    503: ("Unavailable", "The service cannot answer now; try again after a pause"),
    504: ("DeadlineExceeded", "The time that the caller allowed has passed"),
}
_FORMER_NAMES = {"limit": "page_size", "offset": "skip", "ordering": "order_by"}
_WITHOUT_BODY = 204


def needs_credentials(spec: ActionSpec) -> bool:
    """Tell whether an action has a permission that not everybody passes."""
    return scopes_of(spec.permissions) != (None,)


class Operation:
    """Builds the operation object of one route."""

    def __init__(
        self,
        spec: ActionSpec,
        binding: HttpBinding,
        components: Components,
        *,
        item_keyword: str = "schema",
        security_schemes: Sequence[str] = tuple(BEARER_SCHEMES),
        tells_scopes: bool = True,
    ) -> None:
        self.spec = spec
        self.binding = binding
        self.components = components
        #: What describes one item of a stream: `itemSchema` since OpenAPI 3.2.
        self._item_keyword = item_keyword
        self._security_schemes = security_schemes
        #: Before OpenAPI 3.1 there were scopes for OAuth alone.
        self._tells_scopes = tells_scopes

    def build(self, *, operation_id: str, tags: list[str], deprecated: bool) -> dict[str, Any]:
        """Return the operation object."""
        spec = self.spec
        operation: dict[str, Any] = {"operationId": operation_id, "tags": tags}
        if spec.summary:
            operation["summary"] = spec.summary
        if spec.description and spec.description != spec.summary:
            operation["description"] = spec.description
        if deprecated:
            operation["deprecated"] = True
        operation["parameters"] = self._parameters()
        body = self._request_body()
        if body is not None:
            operation["requestBody"] = body
        operation["responses"] = self._responses(has_body=body is not None)
        if needs_credentials(spec):
            operation["security"] = self._security()
        return operation

    def _security(self) -> list[dict[str, list[str]]]:
        """Return the ways to be let in, any one of which is enough."""
        found: list[dict[str, list[str]]] = []
        for scopes in scopes_of(self.spec.permissions):
            told = sorted(scopes) if scopes and self._tells_scopes else []
            ways = [{name: told} for name in self._security_schemes] if scopes is not None else [{}]
            found += [way for way in ways if way not in found]
        return found

    # -- request -------------------------------------------------------------------------------

    def _fields(self) -> dict[str, tuple[dict[str, Any], bool]]:
        """Return the schema of each request field, and whether it is required."""
        models = [self.spec.parameters]
        if self.spec.body_field is None:
            models.append(self.spec.body)
        fields: dict[str, tuple[dict[str, Any], bool]] = {}
        for model in models:
            if model is not None:
                schema = self.components.schema(model, "validation")
                required = schema.get("required", ())
                for name, value in schema.get("properties", {}).items():
                    fields[name] = (value, name in required)
        return fields

    def _parameters(self) -> list[dict[str, Any]]:
        parameters: list[dict[str, Any]] = []
        fields = self._fields()
        for name in self.binding.path_names:
            schema = _in_address(fields.pop(name)[0])
            if schema.get("type") == "string" and "enum" not in schema:
                schema.setdefault("minLength", 1)
            parameters.append(_parameter(name, "path", schema, is_required=True))
        if self.binding.body != "*":
            for name, (schema, is_required) in fields.items():
                parameters.append(
                    _parameter(name, "query", _in_address(schema), is_required=is_required)
                )
            parameters += self._former_parameters(fields)
            if takes_fields(self.spec):
                parameters.append(_same_as(READ_MASK, fields, "fields"))
        names = [*SHARED_PARAMETERS, *self._preconditions()]
        return parameters + [{"$ref": f"#/components/parameters/{name}"} for name in names]

    def _preconditions(self) -> list[str]:
        """Return the components of the headers that stand for reserved parameters."""
        known = {"etag": "IfMatch", "request_id": "IdempotencyKey"}
        found = [name for key, name in known.items() if key in self.spec.reserved]
        return [*found, "IfNoneMatch"] if self._answers_not_modified() else found

    def _answers_not_modified(self) -> bool:
        return self.spec.kind is Kind.GET and self.spec.etags is not None

    def _former_parameters(
        self, fields: Mapping[str, tuple[dict[str, Any], bool]]
    ) -> list[dict[str, Any]]:
        model = self.spec.parameters
        if model is None or not issubclass(model, ListRequest):
            return []
        former: list[dict[str, Any]] = []
        for name, current in _FORMER_NAMES.items():
            parameter = _same_as(current, fields, name)
            parameter["description"] = f"The same as `{current}`, which takes precedence."
            parameter["schema"].pop("default", None)
            former.append(parameter)
        return former

    def _request_body(self) -> dict[str, Any] | None:
        if self.binding.body is None:
            return None
        if self.binding.body != "*" and self.spec.body is not None:
            schema = self.components.ref(self.spec.body, "validation")
            is_required = bool(_required(self.components.schema(self.spec.body, "validation")))
        else:
            fields = self._fields()
            for name in self.binding.path_names:
                fields.pop(name, None)
            if not fields:
                schema, is_required = {"type": "object", "additionalProperties": False}, False
            else:
                is_required = any(required for _, required in fields.values())
                schema = self._whole_body(fields)
        content: dict[str, Any] = {"schema": schema}
        if self.spec.body is not None:
            examples = _examples(self.spec.body, without=output_only_names(self.spec.body))
            if examples:
                content["examples"] = examples
        return {"required": is_required, "content": {"application/json": content}}

    def _whole_body(self, fields: Mapping[str, tuple[dict[str, Any], bool]]) -> dict[str, Any]:
        spec = self.spec
        own = set(wire_names(spec.parameters) if spec.parameters else ())
        own.difference_update(self.binding.path_names)
        if spec.body is not None and not own:
            return self.components.ref(spec.body, "validation")
        schema: dict[str, Any] = {
            "type": "object",
            "title": spec.request.name,
            "properties": {name: copy.deepcopy(value) for name, (value, _) in fields.items()},
            "additionalProperties": False,
        }
        required = [name for name, (_, is_required) in fields.items() if is_required]
        if required:
            schema["required"] = required
        return schema

    # -- responses -----------------------------------------------------------------------------

    def _responses(self, *, has_body: bool) -> dict[str, Any]:
        responses: dict[str, Any] = {str(self.binding.status): self._success()}
        for status in sorted(self._error_statuses(has_body=has_body)):
            responses[str(status)] = {"$ref": f"#/components/responses/{PROBLEMS[status][0]}"}
        if self._answers_not_modified():
            responses["304"] = {"description": "The caller has it already"}
        responses["default"] = {"$ref": "#/components/responses/Problem"}
        return responses

    def _success(self) -> dict[str, Any]:
        spec = self.spec
        headers: dict[str, Any] = {REQUEST_ID_HEADER: {"$ref": "#/components/headers/XRequestId"}}
        response: dict[str, Any] = {"description": _outcome(spec), "headers": headers}
        if spec.kind is Kind.CREATE or spec.work is not None:
            headers["Location"] = {"$ref": "#/components/headers/Location"}
        if spec.etags is not None and spec.response_model is spec.etags.schema:
            headers["ETag"] = {"$ref": "#/components/headers/ETag"}
        if spec.response_model is None:
            if self.binding.status != _WITHOUT_BODY:
                response["content"] = {"application/json": {"schema": {"type": "object"}}}
            return response
        schema = self.components.ref(spec.response_model, "serialization")
        if spec.is_streaming:
            response["content"] = self._stream(schema)
            return response
        content: dict[str, Any] = {"schema": schema}
        examples = _examples(spec.response_model)
        if examples:
            content["examples"] = examples
        response["content"] = {"application/json": content}
        return response

    def _stream(self, schema: dict[str, Any]) -> dict[str, Any]:
        problem = {"$ref": "#/components/schemas/Problem"}
        event = {
            "type": "object",
            "description": "One event; `error` is the last one of a stream that failed.",
            "properties": {
                "event": {"type": "string", "enum": ["message", "error"], "default": "message"},
                "data": {
                    "type": "string",
                    "contentMediaType": "application/json",
                    "contentSchema": {"anyOf": [schema, problem]},
                },
            },
            "required": ["data"],
        }
        line = {
            "description": "One line; `error` is on the last one of a stream that failed.",
            "anyOf": [
                schema,
                {"type": "object", "properties": {"error": problem}, "required": ["error"]},
            ],
        }
        return {
            item.value: {
                self._item_keyword: copy.deepcopy(event if item is StreamFormat.EVENTS else line)
            }
            for item in StreamFormat
        }

    def _error_statuses(self, *, has_body: bool) -> set[int]:
        spec = self.spec
        statuses = {400, 422, 429, 500, 503, 504}
        if needs_credentials(spec):
            statuses |= {401, 403}
        if spec.is_detail or spec.parents:
            statuses.add(404)
        if self.binding.method != "GET":
            statuses.add(409)
        if has_body:
            statuses |= {413, 415}
        if "etag" in spec.reserved or spec.kind is Kind.BATCH_UPDATE:
            statuses.add(412)
        return statuses


def _outcome(spec: ActionSpec) -> str:
    if spec.is_streaming:
        return "The items, one by one"
    if spec.work is not None:
        return "The operation, which goes on"
    known = {
        Kind.LIST: "One page of items",
        Kind.GET: "The item",
        Kind.CREATE: "The new item",
        Kind.UPDATE: "The changed item",
        Kind.UNDELETE: "The item, which is back",
        Kind.BATCH_GET: "The items, in the order of the request",
        Kind.BATCH_CREATE: "The new items, in the order of the request",
        Kind.BATCH_UPDATE: "The changed items, in the order of the request",
        Kind.BATCH_DELETE: "The items are gone",
        Kind.DELETE: "The item is gone" if spec.response_model is None else "The removed item",
    }
    return known.get(spec.kind, "The result")


def _required(schema: Mapping[str, Any]) -> list[str]:
    properties = schema.get("properties", {})
    return [
        name
        for name in schema.get("required", ())
        if not properties.get(name, {}).get("readOnly", False)
    ]


def _parameter(
    name: str, place: str, schema: dict[str, Any], *, is_required: bool
) -> dict[str, Any]:
    parameter: dict[str, Any] = {"name": name, "in": place, "required": is_required}
    description = schema.pop("description", None)
    schema.pop("title", None)
    if description:
        parameter["description"] = description
    parameter["schema"] = schema
    return parameter


def _same_as(
    current: str, fields: Mapping[str, tuple[dict[str, Any], bool]], name: str
) -> dict[str, Any]:
    """Return the query parameter that is another name of a field."""
    schema = _in_address(fields[current][0])
    schema["description"] = f"The same as `{current}`."
    return _parameter(name, "query", schema, is_required=False)


def _in_address(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema for a path or a query string, where there is no null."""
    copied: dict[str, Any] = copy.deepcopy(dict(schema))
    choices = [item for item in copied.get("anyOf", ()) if item.get("type") != "null"]
    if len(choices) == 1 and "anyOf" in copied:
        del copied["anyOf"]
        copied = {**choices[0], **copied}
    elif "anyOf" in copied:
        copied["anyOf"] = choices
    if copied.get("default", ...) is None:
        del copied["default"]
    return copied


def _examples(model: type[BaseModel], *, without: frozenset[str] = frozenset()) -> dict[str, Any]:
    extra = model.model_config.get("json_schema_extra")
    found: list[Any] = []
    if isinstance(extra, dict):
        given = extra.get("examples")
        found = list(given) if isinstance(given, list) else []
        if "example" in extra:
            found.append(extra["example"])
    return {
        f"example{number}": {
            "value": {name: item for name, item in value.items() if name not in without}
            if isinstance(value, dict)
            else value
        }
        for number, value in enumerate(found, 1)
    }
